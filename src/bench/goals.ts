/** What tsvpn must reach against stock OpenVPN, or against itself without something, in the same run, and whether it did. */
import type { MetricName } from './metrics.ts';
import { figures, pairedRatio, REFERENCE, type Figure, type Sample } from './results.ts';

export interface Goal {
  readonly title: string;
  readonly measurement: string;
  readonly contender: string;
  readonly metric: MetricName;
  /** Of the ratio to the reference, or of the figure itself. */
  readonly of: 'ratio' | 'figure';
  /** Another contender of the measurement. */
  readonly reference: string;
  readonly must: number;
  readonly aim: number;
  readonly better: 'higher' | 'lower';
}

const GOALS: readonly Goal[] = [
  goal('TCP, 1 stream', 'tcp1', 'tsvpn', 'mbps', 'ratio', 8, 10, 'higher'),
  goal('CPU seconds per gigabyte, both ends', 'tcp1', 'tsvpn', 'cpuPerGb', 'ratio', 1 / 8, 1 / 12, 'lower'),
  goal('UDP, 64-byte packets, most received', 'udp64', 'tsvpn', 'most', 'ratio', 4, 6, 'higher'),
  goal('Round trip idle, median', 'rtt', 'tsvpn', 'rttMedian', 'ratio', 1.2, 1, 'lower'),
  goal('TCP without libipsec-mb', 'providers', 'tsvpn-openssl-mb', 'mbps', 'ratio', 4, 6, 'higher'),
  goal('TCP from tsvpn to stock', 'tcp1', 'tsvpn-stock', 'mbps', 'ratio', 1, 1.3, 'higher'),
  goal('TCP from stock to tsvpn', 'tcp1', 'stock-tsvpn', 'mbps', 'ratio', 1, 1.3, 'higher'),
  goal('Peak memory of one daemon, MB', 'rss', 'tsvpn', 'rssA', 'figure', 150, 90, 'lower'),
  goal('TCP through source NAT', 'nat-tcp', 'tsvpn', 'mbps', 'ratio', 4, 8, 'higher'),
  goal(
    'TCP through source NAT, against tsvpn without NAT',
    'nat-tcp',
    'tsvpn',
    'mbps',
    'ratio',
    0.9,
    0.97,
    'higher',
    'tsvpn-routed',
  ),
  goal(
    'Forwarding by 100 000 routes, 1000 flows, against 1 route',
    'forwarding',
    '100000 routes, 1000 flows',
    'pps',
    'ratio',
    0.9,
    0.97,
    'higher',
    '1 route, 1000 flows',
  ),
  goal(
    'Peak memory of a gateway of 50 peers, MB',
    'peers-rss',
    'tsvpn-50-peers',
    'rssB',
    'figure',
    175,
    110,
    'lower',
  ),
];

function goal(
  title: string,
  measurement: string,
  contender: string,
  metric: MetricName,
  of: Goal['of'],
  must: number,
  aim: number,
  better: Goal['better'],
  reference: string = REFERENCE,
): Goal {
  return { title, measurement, contender, metric, of, must, aim, better, reference };
}

export interface GoalResult {
  readonly goal: Goal;
  readonly value: number;
  readonly verdict: 'missed' | 'reached' | 'aim reached';
}

/** The goals the run has figures for. */
export function judgeGoals(samples: readonly Sample[]): GoalResult[] {
  const all = figures(samples);
  return GOALS.flatMap((goal): GoalResult[] => {
    const value = valueOf(goal, samples, all);
    return value === undefined || !Number.isFinite(value)
      ? []
      : [{ goal, value, verdict: judge(goal, value) }];
  });
}

function valueOf(goal: Goal, samples: readonly Sample[], all: readonly Figure[]): number | undefined {
  if (goal.of === 'ratio' && goal.reference !== REFERENCE) return pairedRatio(samples, goal, goal.reference);
  const figure = all.find(
    ({ measurement, contender, metric, at }) =>
      measurement === goal.measurement &&
      contender === goal.contender &&
      metric === goal.metric &&
      at === undefined,
  );
  return goal.of === 'ratio' ? figure?.ratio : figure?.summary.median;
}

function judge({ must, aim, better }: Goal, value: number): GoalResult['verdict'] {
  const passes = (limit: number) => (better === 'higher' ? value >= limit : value <= limit);
  if (passes(aim)) return 'aim reached';
  return passes(must) ? 'reached' : 'missed';
}
