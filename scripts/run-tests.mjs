/** Running test files with vitest, and what became of each. */
import { relative } from 'node:path';
import { startVitest } from 'vitest/node';

/**
 * What became of a test file. A hook that fails and a process that dies are failures of it, next to those of tests.
 * @typedef {{ file: string, passed: number, failed: string[], skipped: string[] }} Outcome
 */

const NO_END = 'its process ended before its tests';

/**
 * Runs the files of a project whose paths contain one of the filters, or all.
 * @returns {Promise<Outcome[]>}
 */
export async function runFiles(project, filters, options = {}) {
  const vitest = await startVitest(
    'test',
    filters,
    { run: true, watch: false, project, passWithNoTests: true, ...options },
    { configLoader: 'runner' },
  );
  await vitest.close();
  const outcomes = vitest.state.getTestModules().map(outcomeOf);
  for (const { message, VITEST_TEST_PATH: path } of vitest.state.getUnhandledErrors()) {
    const guilty = outcomes.find(({ file }) => path !== undefined && file === relative(process.cwd(), path));
    if (guilty !== undefined) guilty.failed.push(message);
    // A dead process does not say which file it ran: that file is the one without an end.
    else if (!outcomes.some(({ failed }) => failed.includes(NO_END)))
      outcomes.push({ file: 'vitest', passed: 0, failed: [message], skipped: [] });
  }
  return outcomes;
}

/** @returns {Outcome} */
function outcomeOf(module) {
  /** @type {Outcome} */
  const outcome = { file: relative(process.cwd(), module.moduleId), passed: 0, failed: [], skipped: [] };
  for (const test of module.children.allTests()) {
    const { state, note } = test.result();
    if (state === 'passed') outcome.passed++;
    if (state === 'failed') outcome.failed.push(test.fullName);
    if (state === 'skipped') outcome.skipped.push(`${test.fullName}: ${note ?? 'no reason given'}`);
  }
  for (const suite of [module, ...module.children.allSuites()])
    if (suite.errors().length > 0) outcome.failed.push(suite.fullName ?? 'the file itself');
  if (!['passed', 'failed', 'skipped'].includes(module.state())) outcome.failed.push(NO_END);
  return outcome;
}
