/** Columns of tables: typed arrays that get longer when a table does. */
type Column = Uint8Array | Uint16Array | Int16Array | Int32Array | Uint32Array;

/** A column of `length` rows that begins with those of `column`; the others are 0. */
export function lengthened<C extends Column>(column: C, length: number): C {
  const longer = new (column.constructor as new (length: number) => C)(length);
  longer.set(column);
  return longer;
}
