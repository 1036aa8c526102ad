/** What one row of test/support/directive-rows.ts tells of a directive. */

/** Lines, where to look (`gateway.` for what all peers share), and what is there; without the lines it is not. */
type Take = readonly [lines: string | readonly string[], path: string, value: unknown];

export interface Row {
  readonly takes: readonly Take[];
  /** Lines that are refused for more than a wrong word, and the column. */
  readonly refuses?: readonly (readonly [lines: string | readonly string[], column: number])[];
}

/** Accepted, and no field of the config follows from it. */
export const NOTHING: Row = { takes: [] };

/** A directive without arguments that sets one field. */
export const flag = (path: string, value: unknown = true): ((name: string) => Row) => {
  return (name) => ({ takes: [[name, path, value]] });
};

/** A row, or what makes it of the directive's name. */
export type DirectiveRow = Row | ((name: string) => Row);
