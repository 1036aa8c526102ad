/** What is told when the network answers in the peer's place. */
import { expect, it } from 'vitest';
import { Counter } from '../../src/engine/counters.ts';
import type { SendError, TransportPort } from '../../src/transport/port.ts';
import { encodeEndpoint } from '../../src/transport/endpoint.ts';
import { ADDRESS_B, breatheAll, ipv4Packet, Pair } from '../support/pair.ts';

const REFUSED = 111;
const NO_ROUTE = 113;

function silentPair() {
  const pair = new Pair().connect();
  let errors: Partial<SendError>[] = [];
  const port: TransportPort = pair.a.port;
  port.readErrors = (report) => {
    for (const error of errors)
      report({ bytes: ADDRESS_B, endpoint: 0, errno: REFUSED, pathMtu: 0, reporter: 0, ...error });
    errors = [];
  };
  const answer = (...list: Partial<SendError>[]) => {
    errors = list;
    pair.a.peer.link!.failed = true;
    breatheAll(pair.a.engine);
  };
  const told = () => pair.a.events.flatMap((event) => (event.kind === 'unreachable' ? [event.errno] : []));
  return { pair, answer, told };
}

it('is told once in a silence, and counted each time', () => {
  const { pair, answer, told } = silentPair();
  for (let i = 0; i < 50; i++) {
    answer({}, {});
    pair.clock.ms += 1000;
  }
  expect(told()).toEqual([REFUSED]);
  expect(pair.a.counters.get(Counter.UnreachableTimes)).toBe(100);
  expect(pair.a.counters.get(Counter.UnreachableErrno)).toBe(REFUSED);
  expect(pair.a.events).toContainEqual({
    kind: 'unreachable',
    peer: 0,
    endpoint: '[AF_INET]192.0.2.2:1194',
    errno: REFUSED,
    reporter: '192.0.2.2',
  });
});

it('is told again when it is another answer, and after the peer was heard', () => {
  const { pair, answer, told } = silentPair();
  answer({});
  pair.clock.ms += 20_000;
  answer({ errno: NO_ROUTE });
  pair.clock.ms += 20_000;
  pair.b.toSend.push(ipv4Packet(60, 1, [10, 0, 0, 1]));
  pair.settle();
  expect(pair.a.counters.get(Counter.UnreachableErrno)).toBe(0);
  answer({ errno: NO_ROUTE });
  expect(told()).toEqual([REFUSED, NO_ROUTE, NO_ROUTE]);
  expect(pair.a.counters.get(Counter.UnreachableTimes)).toBe(1);
});

it('is not told more than once in ten seconds, whatever comes and goes', () => {
  const { pair, answer, told } = silentPair();
  for (let i = 0; i < 20; i++) {
    answer({}, { errno: NO_ROUTE });
    pair.b.toSend.push(ipv4Packet(60, i, [10, 0, 0, 1]));
    pair.settle();
    pair.clock.ms += 1000;
  }
  expect(told()).toHaveLength(2);
});

it('concerns the peer that was sent to, and says when this host could not send', () => {
  const { pair, answer, told } = silentPair();
  answer({ bytes: encodeEndpoint('192.0.2.77', 1194) });
  expect(told()).toEqual([]);
  answer({ reporter: -1 });
  expect(pair.a.events.at(-1)).toMatchObject({ kind: 'unreachable', reporter: undefined });
});
