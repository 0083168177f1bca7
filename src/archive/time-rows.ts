import type { MetaKey, MetaStore } from '../platform/meta-store.ts'
import { fromTimeKey, toKeyRange } from './catalogue-keys.ts'
import type { TimeSpan } from './chunk-span.ts'

/** A chunk's row by one of the clocks: see {@link Catalogue}. */
export type TimeRow = { readonly from: number; readonly firstCounter: number }

/** The length classes that occur behind a prefix, each found by one seek. */
export async function lengthClassesOf(
  meta: MetaStore,
  prefix: MetaKey,
): Promise<readonly number[]> {
  const classes: number[] = []
  for (let next: number | null = 0; next !== null;) {
    const range = { prefix, from: [next], limit: 1 }
    next = null
    for await (const { key } of meta.entries(range)) {
      const found = key[prefix.length] as number
      classes.push(found)
      next = found + 1
    }
  }
  return classes
}

/** Rows of these classes that overlap the span, in order of their beginning. */
export async function* overlappingRows(
  meta: MetaStore,
  prefix: MetaKey,
  { classes, span }: { readonly classes: readonly number[]; readonly span: TimeSpan },
): AsyncGenerator<TimeRow> {
  const searches = classes.map((lengthClass) =>
    overlappingOfClass(meta, [...prefix, lengthClass], { lengthClass, span }),
  )
  try {
    yield* mergeByFrom(searches)
  } finally {
    for (const search of searches) await search.return(undefined)
  }
}

async function* overlappingOfClass(
  meta: MetaStore,
  prefix: MetaKey,
  { lengthClass, span }: { readonly lengthClass: number; readonly span: TimeSpan },
): AsyncGenerator<TimeRow> {
  const range = { prefix, ...toKeyRange(lengthClass, span) }
  for await (const { key, value: to } of meta.entries<number>(range)) {
    if (to <= span.from) continue
    yield { from: fromTimeKey(key.at(-2) as number), firstCounter: key.at(-1) as number }
  }
}

async function* mergeByFrom(searches: readonly AsyncIterator<TimeRow>[]): AsyncGenerator<TimeRow> {
  const heads = await Promise.all(searches.map((search) => search.next()))
  for (;;) {
    let least = -1
    for (const [i, head] of heads.entries()) {
      if (head.done === true) continue
      const best = least < 0 ? undefined : heads[least]!
      if (best?.done !== false || head.value.from < best.value.from) least = i
    }
    const next = heads[least]
    if (next === undefined || next.done === true) return
    yield next.value
    heads[least] = await searches[least]!.next()
  }
}
