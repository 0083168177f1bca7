import { createMetrics } from './metrics.ts'

/** docs/ref/metrics.md: every metric of the service, from the registry itself. */
export async function toMetricsReference(): Promise<string> {
  const { registry } = createMetrics()
  const metrics = await registry.getMetricsAsJSON()
  const rows = metrics
    .map(({ name, type, help }) => {
      const { labelNames } = registry.getSingleMetric(name) as unknown as { labelNames: string[] }
      return `| \`${name}\` | ${String(type)} | ${labelNames.join(', ')} | ${help} |`
    })
    .toSorted()
  return `# Metrics

\`GET /metrics\` answers in the Prometheus text format. Besides the service's own metrics below it has those of the Node process (\`process_*\`, \`nodejs_*\`).

| metric | type | labels | meaning |
| --- | --- | --- | --- |
${rows.join('\n')}
`
}
