// How long an action takes with each of the items: the middle, and what one in a hundred exceeds. The
// first third is not counted: by then the code is compiled, and nothing of the rest is in a cache.
export async function timesOf(items, action) {
  const warmUp = Math.ceil(items.length / 3)
  for (const item of items.slice(0, warmUp)) await action(item)
  const times = []
  for (const item of items.length > 1 ? items.slice(warmUp) : items) {
    const from = performance.now()
    await action(item)
    times.push(performance.now() - from)
  }
  times.sort((a, b) => a - b)
  const at = (part) => times[Math.min(Math.floor(times.length * part), times.length - 1)]
  return { p50Ms: at(0.5), p99Ms: at(0.99) }
}
