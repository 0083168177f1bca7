import { configSchema } from './schema.ts'

type Schema = {
  readonly properties?: Record<string, Schema>
  readonly items?: Schema
  readonly anyOf?: readonly Schema[]
  readonly type?: string
  readonly const?: unknown
  readonly default?: unknown
  readonly description?: string
  readonly minimum?: number
  readonly exclusiveMinimum?: number
  readonly maximum?: number
  readonly minLength?: number
  readonly maxLength?: number
}

/** docs/ref/config.md: every setting in a table, from the schema that also validates. */
export function toConfigReference(): string {
  const rows = flatten(configSchema as Schema, '').map(
    ({ path, schema }) =>
      `| \`${path}\` | ${toType(schema)} | ${toDefault(schema)} | ${schema.description ?? ''} |`,
  )
  return `# Configuration

One YAML file, given by \`--config\` or \`KINORA_CONFIG\`, else \`./kinora.yaml\` if it is there. Every setting can also come from the environment, which wins: \`http.port\` as \`KINORA_HTTP__PORT\`, and \`KINORA_AUTH__ADMIN_TOKEN_FILE\` for a value kept in a file. Lists are written as in YAML. Unknown settings are errors. \`kinora config check\`, \`print\` and \`schema\` look at it without starting anything.

| setting | type | default | meaning |
| --- | --- | --- | --- |
${rows.join('\n')}
`
}

function flatten(schema: Schema, prefix: string): { path: string; schema: Schema }[] {
  return Object.entries(schema.properties ?? {}).flatMap(([name, child]) => {
    const path = prefix === '' ? name : `${prefix}.${name}`
    if (child.properties !== undefined) return flatten(child, path)
    if (child.items?.properties === undefined) return [{ path, schema: child }]
    return [{ path, schema: child }, ...flatten(child.items, `${path}[]`)]
  })
}

/** What a setting may be, in the words of docs/ref/config.md. */
export function toType(schema: Schema): string {
  if (schema.anyOf !== undefined) return schema.anyOf.map(toType).join(' or ')
  if (schema.const !== undefined) return `\`${JSON.stringify(schema.const)}\``
  if (schema.type === 'array') {
    return schema.items?.properties === undefined ? `list of ${toType(schema.items!)}` : 'list'
  }
  const low = schema.minimum ?? schema.minLength
  const high = schema.maximum ?? schema.maxLength
  const range =
    low === undefined && high === undefined ? '' : ` ${low ?? ''}..${high ?? ''}`.trimEnd()
  const above = schema.exclusiveMinimum === undefined ? '' : `, above ${schema.exclusiveMinimum}`
  return `${schema.type ?? 'any'}${range}${above}`
}

function toDefault(schema: Schema): string {
  return schema.default === undefined ? '' : `\`${JSON.stringify(schema.default)}\``
}
