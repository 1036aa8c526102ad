import { closeSync, openSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { createLogger } from '../../src/control/log.ts';
import { openStatusFile, openvpnStatusLines } from '../../src/control/openvpn-status.ts';
import { SAMPLE_STATUS } from '../support/status.ts';
import { tempDir } from '../support/temp-dir.ts';

const TRAFFIC = SAMPLE_STATUS.traffic;
const NOW = new Date(2026, 10, 22, 0, 22, 43);
const quiet = () => createLogger({ verb: 0, env: {} });

/** The example of the wire specification, as stock 2.6.14 wrote it. */
const STOCK = [
  'OpenVPN STATISTICS',
  'Updated,2026-11-22 00:22:43',
  'TUN/TAP read bytes,656',
  'TUN/TAP write bytes,656',
  'TCP/UDP read bytes,496',
  'TCP/UDP write bytes,416',
  'Auth read bytes,704',
  'pre-compress bytes,656',
  'post-compress bytes,136',
  'pre-decompress bytes,136',
  'post-decompress bytes,656',
  'END',
];
const STOCK_TRAFFIC = {
  tunRead: { packets: 1, bytes: 656 },
  tunWrite: { packets: 1, bytes: 656 },
  udpRead: { packets: 1, bytes: 496 },
  udpWrite: { packets: 1, bytes: 416 },
  authReadBytes: 704,
  compression: { preCompress: 656, postCompress: 136, preDecompress: 136, postDecompress: 656 },
};

afterEach(() => void vi.useRealTimers());

describe('status file', () => {
  test('has the lines of stock OpenVPN', () => {
    expect(openvpnStatusLines(STOCK_TRAFFIC, NOW)).toEqual(STOCK);
  });

  test('has the compression lines only with compression framing', () => {
    const lines = openvpnStatusLines({ ...STOCK_TRAFFIC, compression: null }, NOW);
    expect(lines).toEqual(STOCK.filter((line) => !line.includes('compress')));
  });

  test('is truncated at the start, readable by its owner alone, and rewritten in place', () => {
    vi.useFakeTimers();
    const path = join(tempDir(), 'status');
    let bytes = 1_000_000;
    const traffic = () => ({ ...TRAFFIC, authReadBytes: bytes });
    const file = openStatusFile(path, 10, traffic, quiet());
    const { ino, mode } = statSync(path);
    expect(mode & 0o777).toBe(0o600);
    expect(readFileSync(path, 'utf8')).toContain('Auth read bytes,1000000\nEND\n');
    bytes = 5;
    vi.advanceTimersByTime(9_999);
    expect(readFileSync(path, 'utf8')).toContain('Auth read bytes,1000000\n');
    vi.advanceTimersByTime(1);
    expect(readFileSync(path, 'utf8')).toMatch(/Auth read bytes,5\nEND\n$/);
    expect(statSync(path).ino).toBe(ino);
    file.close();
    bytes = 6;
    vi.advanceTimersByTime(60_000);
    expect(readFileSync(path, 'utf8')).toContain('Auth read bytes,5\n');
  });

  test('an old file loses what was in it', () => {
    const path = join(tempDir(), 'status');
    writeFileSync(path, 'x'.repeat(5000));
    openStatusFile(path, 0, () => TRAFFIC, quiet()).close();
    expect(readFileSync(path, 'utf8')).toMatch(/^OpenVPN STATISTICS\n[^x]*END\n$/);
  });

  test('a path that cannot be opened is an operator error naming it', () => {
    expect(() => openStatusFile('/nonexistent/dir/status', 10, () => TRAFFIC, quiet())).toThrow(
      expect.objectContaining({
        code: 'STATUS_FILE',
        what: expect.stringContaining('/nonexistent/dir/status') as string,
      }) as Error,
    );
  });

  test('a full disk is logged once and does not stop the tunnel', () => {
    vi.useFakeTimers();
    const logPath = join(tempDir(), 'log');
    const fd = openSync(logPath, 'a');
    const log = createLogger({ verb: 3, fd, env: {} });
    const file = openStatusFile('/dev/full', 1, () => TRAFFIC, log);
    vi.advanceTimersByTime(5000);
    file.close();
    closeSync(fd);
    expect(readFileSync(logPath, 'utf8').match(/cannot write status file/g)).toHaveLength(1);
  });
});
