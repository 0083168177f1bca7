// How long an action takes with each of the items: the middle, and what one in a hundred exceeds.
export async function timesOf(items, action) {
  for (const item of items.slice(0, 20)) await action(item) // compiled by then
  const times = []
  for (const item of items) {
    const from = performance.now()
    await action(item)
    times.push(performance.now() - from)
  }
  times.sort((a, b) => a - b)
  const at = (part) => times[Math.min(Math.floor(times.length * part), times.length - 1)]
  return { p50Ms: at(0.5), p99Ms: at(0.99) }
}
