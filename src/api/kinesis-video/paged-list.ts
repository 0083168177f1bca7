import { integer, oneOf, string, structure, type InputOf } from '../aws/input-schema.ts'
import type { TokenSealer } from '../aws/sealed-token.ts'
import { invalid, resourceName } from './stream-reference.ts'

/** As the control operations' model has it. */
export const nextToken = string({ min: 0, max: 1024, pattern: '[a-zA-Z0-9+/=]*' })

/** Members of the operations that list resources by name. */
export const listing = {
  MaxResults: integer({ min: 1, max: 10_000 }),
  NextToken: nextToken,
}

/** StreamNameCondition and ChannelNameCondition. */
export const nameCondition = structure({
  ComparisonOperator: oneOf(['BEGINS_WITH']),
  ComparisonValue: resourceName,
})

export function meets(condition: InputOf<typeof nameCondition> | undefined, name: string): boolean {
  return name.startsWith(condition?.ComparisonValue ?? '')
}

/**
 * The next so many of `items`, which are in order of their names.
 *
 * @param question operation, and whatever else a token must have been made for
 * @throws ServiceError `invalid-argument`/`InvalidArgumentException`
 */
export function pageOf<T extends { readonly name: string }>(
  items: readonly T[],
  request: {
    readonly sealer: TokenSealer
    readonly question: string
    readonly maxResults: number
    /** An empty one is none. */
    readonly token: string | undefined
  },
): { readonly page: readonly T[]; readonly next: { readonly NextToken?: string } } {
  const { sealer, maxResults, token = '' } = request
  const purpose = `page of ${request.question}`
  const after = token === '' ? '' : readToken(sealer, purpose, token)
  const left = items.filter(({ name }) => name > after)
  const page = left.slice(0, maxResults)
  const hasMore = left.length > page.length
  return {
    page,
    next: hasMore ? { NextToken: sealer.seal(purpose, { after: page.at(-1)!.name }) } : {},
  }
}

/** For the operations that list little: all of it is on the first page, and nobody has a token. */
export function refuseToken(token: string | undefined): void {
  if (token !== undefined && token !== '') throw wrongToken()
}

function readToken(sealer: TokenSealer, purpose: string, token: string): string {
  const content = sealer.open(purpose, token)
  if (content === null) throw wrongToken()
  return (content as { readonly after: string }).after
}

function wrongToken() {
  return invalid('The NextToken is not one of this operation.')
}
