/**
 * Packets that we translate are ordinary forwarded packets to the kernel. A firewall that drops those by default, as those of
 * Docker, ufw and firewalld do, stops them; all we can do is to say so. Nothing here changes a firewall.
 */
import { spawnSync } from 'node:child_process';
import { droppingTools } from './legacy-firewall.ts';

/** A chain at the forward hook whose policy is to drop. */
export interface DroppingChain {
  readonly text: string;
  /** Command that lets packets pass from one interface to another, or those of sessions there are. */
  readonly accept: (from: string, to: string, established: boolean) => string;
}

const NFT_TIMEOUT_MS = 2000;

export function droppingChains(): DroppingChain[] {
  return [...nftChains(), ...droppingTools().map(legacyChain)];
}

/** From the list nft(8) prints; none when there is no nft, or it may not be used. iptables-nft is seen, too. */
function nftChains(): DroppingChain[] {
  const { status, stdout } = spawnSync('nft', ['-j', 'list', 'chains'], {
    encoding: 'utf8',
    timeout: NFT_TIMEOUT_MS,
  });
  return status === 0 ? parseChains(stdout) : [];
}

/** Exported for tests. libnftables-json(5): {"nftables": [{"chain": {family, table, name, hook, policy}}, ...]} */
export function parseChains(json: string): DroppingChain[] {
  const { nftables } = JSON.parse(json) as { nftables: { chain?: NftChain }[] };
  return nftables.flatMap(({ chain }) =>
    chain !== undefined && chain.hook === 'forward' && chain.policy === 'drop' ? [nftChain(chain)] : [],
  );
}

interface NftChain {
  /** `ip`, `ip6`, `inet`. */
  readonly family: string;
  readonly table: string;
  readonly name: string;
  readonly hook?: string;
  readonly policy?: string;
}

function nftChain({ family, table, name }: NftChain): DroppingChain {
  const chain = `${family} ${table} ${name}`;
  return {
    text: `nft chain ${chain} has policy drop`,
    accept: (from, to, established) => {
      const state = established ? ' ct state established,related' : '';
      return `nft insert rule ${chain} iifname "${from}" oifname "${to}"${state} accept`;
    },
  };
}

function legacyChain(tool: string): DroppingChain {
  return {
    text: `chain FORWARD of ${tool} has policy DROP`,
    accept: (from, to, established) => {
      const state = established ? ' -m conntrack --ctstate ESTABLISHED,RELATED' : '';
      return `${tool} -I FORWARD -i ${from} -o ${to}${state} -j ACCEPT`;
    },
  };
}

/** The two commands that let our packets through; new sessions from outside only where there are forwards. */
export function acceptCommands(
  { accept }: DroppingChain,
  device: string,
  lan: string,
  inward: boolean,
): [string, string] {
  return [accept(device, lan, false), accept(lan, device, !inward)];
}
