/** One contender's tunnel on the testbed: where it is, starting it, and waiting until it carries packets. */
import { ExitCode, OperatorError } from '../errors.ts';
import { ping } from '../lab/probe.ts';
import type { Contender } from './contenders.ts';
import type { Daemon } from './processes.ts';
import { ENDS, type EndName, type Testbed } from './testbed.ts';

const UP_TIMEOUT_MS = 15_000;
const BASE_PORT = 20_000;

/** What a driver needs to know to start a tunnel. */
export interface Place {
  readonly testbed: Testbed;
  /** 1..250, unique on the testbed. */
  readonly number: number;
  readonly device: string;
  /** Inner addresses. */
  readonly address: Readonly<Record<EndName, string>>;
  /** UDP port of both ends. */
  readonly port: number;
}

export type Daemons = Readonly<Partial<Record<EndName, Daemon>>>;

/** What a contender has started. */
export interface StartedTunnel {
  /** To send to from the other end. */
  readonly address: Readonly<Record<EndName, string>>;
  /** None for the bare cable. */
  readonly daemons: Daemons;
  /** Where traffic begins and ends, if elsewhere than in the ends of the place. */
  readonly testbed?: Testbed;
  /** Removes what else was made for it, when its daemons have ended. */
  readonly dispose?: () => void;
}

export interface Tunnel extends StartedTunnel {
  readonly contender: Contender;
  readonly testbed: Testbed;
  readonly device: string;
}

function placeOf(testbed: Testbed, number: number): Place {
  return {
    testbed,
    number,
    device: `bench${number}`,
    address: { a: `10.90.${number}.1`, b: `10.90.${number}.2` },
    port: BASE_PORT + number,
  };
}

/** Resolves when a ping crosses the tunnel. Throws OperatorError with the ends' logs when none does in time. */
export async function startTunnel(testbed: Testbed, number: number, contender: Contender): Promise<Tunnel> {
  const place = placeOf(testbed, number);
  const tunnel = { contender, testbed, device: place.device, ...(await contender.start(place)) };
  try {
    await untilCrossed(tunnel);
    return tunnel;
  } catch (error) {
    await stopTunnel(tunnel);
    throw error;
  }
}

async function untilCrossed(tunnel: Tunnel): Promise<void> {
  const { testbed, daemons } = tunnel;
  const deadline = performance.now() + UP_TIMEOUT_MS;
  for (;;) {
    const rtts = await ping(testbed.a, tunnel.address.b, 1, testbed.signal);
    if (rtts.length > 0) return;
    const dead = ENDS.find((end) => daemons[end]?.alive() === false);
    if (dead !== undefined) throw tunnelFailed(tunnel, `its end ${dead} has ended`);
    if (performance.now() > deadline) {
      throw tunnelFailed(tunnel, `no ping crossed it within ${UP_TIMEOUT_MS / 1000} seconds`);
    }
  }
}

function tunnelFailed({ contender, daemons }: Tunnel, how: string): OperatorError {
  const logs = ENDS.map((end) => `end ${end}:\n${daemons[end]?.logTail() ?? ''}`);
  return new OperatorError({
    code: 'BENCH_TUNNEL',
    what: `the tunnel of ${contender.name} did not come up: ${how}`,
    why: `the end of the logs:\n${logs.join('\n')}`,
    fix: `leave it out (--contenders), or start it by hand to see more`,
    exitCode: ExitCode.Failure,
  });
}

export async function stopTunnel({ daemons, dispose }: Pick<Tunnel, 'daemons' | 'dispose'>): Promise<void> {
  await Promise.all(Object.values(daemons).map((daemon) => daemon.stop()));
  dispose?.();
}
