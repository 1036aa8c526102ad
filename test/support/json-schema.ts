/** The part of JSON Schema that docs/*.schema.json use: enough to check our own output without a dependency. */
export interface Schema {
  readonly type?: string | readonly string[];
  readonly const?: unknown;
  readonly enum?: readonly unknown[];
  readonly required?: readonly string[];
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly additionalProperties?: boolean | Schema;
  readonly items?: Schema;
  readonly $ref?: string;
  readonly $defs?: Readonly<Record<string, Schema>>;
}

function typeOf(value: unknown): string[] {
  if (value === null) return ['null'];
  if (Array.isArray(value)) return ['array'];
  return typeof value === 'number' && Number.isInteger(value) ? ['integer', 'number'] : [typeof value];
}

/** What in `value` does not fit, as `PATH is ...`; empty when it fits. */
export function schemaViolations(value: unknown, root: Schema): string[] {
  const visit = (item: unknown, schema: Schema, path: string): string[] => {
    if (schema.$ref !== undefined) {
      const target = root.$defs?.[schema.$ref.replace('#/$defs/', '')];
      return target === undefined ? [`${path} refers to nothing`] : visit(item, target, path);
    }
    if ('const' in schema && item !== schema.const) return [`${path} is not ${String(schema.const)}`];
    if (schema.enum !== undefined && !schema.enum.includes(item)) return [`${path} is not one of the values`];
    const types = schema.type === undefined ? undefined : [schema.type].flat();
    if (types !== undefined && !typeOf(item).some((type) => types.includes(type))) {
      return [`${path} is not ${types.join(' or ')}`];
    }
    if (Array.isArray(item)) {
      return item.flatMap((element, i) => visit(element, schema.items ?? {}, `${path}[${i}]`));
    }
    return typeof item === 'object' && item !== null ? visitObject(item, schema, path) : [];
  };
  const visitObject = (item: object, schema: Schema, path: string): string[] => {
    const missing = (schema.required ?? [])
      .filter((key) => !(key in item))
      .map((key) => `${path}.${key} is missing`);
    const wrong = Object.entries(item).flatMap(([key, element]) => {
      const known = schema.properties?.[key] ?? schema.additionalProperties ?? {};
      if (known === false) return [`${path}.${key} is not in the schema`];
      return visit(element, known === true ? {} : known, `${path}.${key}`);
    });
    return [...missing, ...wrong];
  };
  return visit(value, root, '$');
}
