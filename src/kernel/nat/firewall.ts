/**
 * Packets that we translate are ordinary forwarded packets to the kernel. A firewall that drops those by default, as those of
 * Docker, ufw and firewalld do, stops them; all we can do is to say so. Nothing here changes a firewall.
 */
import { spawnSync } from 'node:child_process';

/** A chain at the forward hook whose policy is to drop. */
export interface DroppingChain {
  /** `ip`, `ip6`, `inet`. */
  readonly family: string;
  readonly table: string;
  readonly name: string;
}

const NFT_TIMEOUT_MS = 2000;

/** From the list nft(8) prints; none when there is no nft, or it may not be used. iptables-nft is seen, too. */
export function droppingChains(): DroppingChain[] {
  const { status, stdout } = spawnSync('nft', ['-j', 'list', 'chains'], {
    encoding: 'utf8',
    timeout: NFT_TIMEOUT_MS,
  });
  return status === 0 ? parseChains(stdout) : [];
}

/** Exported for tests. libnftables-json(5): {"nftables": [{"chain": {family, table, name, hook, policy}}, ...]} */
export function parseChains(json: string): DroppingChain[] {
  const { nftables } = JSON.parse(json) as { nftables: { chain?: DroppingChain & ChainDetail }[] };
  return nftables.flatMap(({ chain }) =>
    chain !== undefined && chain.hook === 'forward' && chain.policy === 'drop'
      ? [{ family: chain.family, table: chain.table, name: chain.name }]
      : [],
  );
}

interface ChainDetail {
  readonly hook?: string;
  readonly policy?: string;
}

/** The two commands that let our packets through; new sessions from outside only where there are forwards. */
export function acceptCommands(
  { family, table, name }: DroppingChain,
  device: string,
  lan: string,
  inward: boolean,
): [string, string] {
  const insert = `nft insert rule ${family} ${table} ${name}`;
  const established = inward ? '' : ' ct state established,related';
  return [
    `${insert} iifname "${device}" oifname "${lan}" accept`,
    `${insert} iifname "${lan}" oifname "${device}"${established} accept`,
  ];
}
