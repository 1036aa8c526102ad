/** What tsvpn must reach against stock OpenVPN in the same run, and whether it did. */
import type { MetricName } from './metrics.ts';
import { figures, type Sample } from './results.ts';

export interface Goal {
  readonly title: string;
  readonly measurement: string;
  readonly contender: string;
  readonly metric: MetricName;
  /** Of the ratio to stock, or of the figure itself. */
  readonly of: 'ratio' | 'figure';
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
): Goal {
  return { title, measurement, contender, metric, of, must, aim, better };
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
    const figure = all.find(
      ({ measurement, contender, metric, at }) =>
        measurement === goal.measurement &&
        contender === goal.contender &&
        metric === goal.metric &&
        at === undefined,
    );
    const value = goal.of === 'ratio' ? figure?.ratio : figure?.summary.median;
    return value === undefined || !Number.isFinite(value)
      ? []
      : [{ goal, value, verdict: judge(goal, value) }];
  });
}

function judge({ must, aim, better }: Goal, value: number): GoalResult['verdict'] {
  const passes = (limit: number) => (better === 'higher' ? value >= limit : value <= limit);
  if (passes(aim)) return 'aim reached';
  return passes(must) ? 'reached' : 'missed';
}
