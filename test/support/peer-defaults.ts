/** What peers in memory are, unless a test says otherwise. */
import type { PeerSettings } from '../../src/engine/messages.ts';

export const PEER_DEFAULTS: Omit<PeerSettings, 'suite' | 'sealKeys' | 'openKeys'> = {
  sharedKeys: false,
  replay: { enabled: true, window: 64, timeSec: 15 },
  framing: 'off',
  maxFragment: 0,
  allowRecursiveRouting: false,
  passTos: false,
  shaperBytesPerSec: 0,
  tunMtu: 1500,
  tunMtuExtra: 0,
  anySource: false,
  netmap: [],
  linkHeader: 0,
  mtuProbe: 'off',
  pingSec: 0,
  pingTimeoutSec: 0,
  pingTimeoutAction: 'restart',
  pingTimerNeedsRemote: false,
  inactiveSec: 0,
  inactiveBytes: 0,
  sessionTimeoutSec: 0,
  occ: false,
};
