/**
 * What an opening for write must do about the newest segment. Decided from written evidence alone; pure, so that the test can go
 * through every combination.
 */
export type TailDecision =
  /** The log was closed in order: go on in this segment. */
  | 'continue'
  /** Damage below what is proven to have been durable: refuse with WAL_CORRUPT. */
  | 'corrupt'
  /** Understood by a later version only: refuse with WAL_UNSUPPORTED_VERSION. */
  | 'unsupported'
  /** `recovery: 'strict'` and something was torn: refuse with WAL_CORRUPT, kind 'torn'. */
  | 'refuse-torn'
  /** Nothing valid in it: publish a successor in its place, which names the same predecessor. */
  | 'replace'
  /** Publish a successor that holds a copy of the valid commits above the proven end. */
  | 'succeed'

export interface TailEvidence {
  /** The manifest says closed, and its floor is exactly where the content ends. */
  closedAtEnd: boolean
  /** Whole commits end at or above everything that is proven. */
  provenIsWhole: boolean
  /** At least one whole commit, or published content. */
  hasCommits: boolean
  /** Bytes behind the last whole commit that are not zero. */
  torn: boolean
  /** The first thing behind the last whole commit is intact, of a later version. */
  unsupported: boolean
  strict: boolean
}

type Rule = { when: Partial<TailEvidence>; decision: TailDecision }

/** First match wins; the last rules match everything that is left, which recovery.test.ts proves. */
export const TAIL_RULES: readonly Rule[] = [
  { when: { unsupported: true }, decision: 'unsupported' },
  { when: { provenIsWhole: false }, decision: 'corrupt' },
  { when: { closedAtEnd: true, torn: false }, decision: 'continue' },
  { when: { torn: true, strict: true }, decision: 'refuse-torn' },
  { when: { hasCommits: false }, decision: 'replace' },
  { when: { hasCommits: true }, decision: 'succeed' },
]

export function decideTail(evidence: TailEvidence): TailDecision {
  const rule = TAIL_RULES.find(({ when }) =>
    (Object.keys(when) as (keyof TailEvidence)[]).every(key => when[key] === evidence[key]),
  )
  if (rule === undefined) throw new Error(`No rule for ${JSON.stringify(evidence)}`)
  return rule.decision
}
