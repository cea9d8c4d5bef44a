import { describe, expect, it } from 'vitest'
import { decideTail, TAIL_RULES, type TailDecision, type TailEvidence } from '../../src/segments/recovery.js'

const KEYS = ['closedAtEnd', 'provenIsWhole', 'hasCommits', 'torn', 'unsupported', 'strict'] as const

/** Every combination of evidence, also those that no log can bring about. */
const ALL: TailEvidence[] = Array.from(
  { length: 2 ** KEYS.length },
  (_, bits) => Object.fromEntries(KEYS.map((key, i) => [key, (bits & (1 << i)) !== 0])) as unknown as TailEvidence,
)

/** What docs/DURABILITY.md promises about each decision, said the other way round: what the evidence must have been. */
const MEANINGS: Record<TailDecision, (evidence: TailEvidence) => boolean> = {
  unsupported: ({ unsupported }) => unsupported,
  corrupt: ({ provenIsWhole, unsupported }) => !provenIsWhole && !unsupported,
  continue: ({ closedAtEnd, torn, provenIsWhole, unsupported }) =>
    closedAtEnd && !torn && provenIsWhole && !unsupported,
  'refuse-torn': ({ torn, strict, provenIsWhole, unsupported }) => torn && strict && provenIsWhole && !unsupported,
  replace: evidence => goesOn(evidence) && !evidence.hasCommits,
  succeed: evidence => goesOn(evidence) && evidence.hasCommits,
}

/** A log that was not closed in order, of which nothing proven is missing and which may be gone on with. */
function goesOn({ closedAtEnd, torn, strict, provenIsWhole, unsupported }: TailEvidence): boolean {
  return provenIsWhole && !unsupported && (torn ? !strict : !closedAtEnd)
}

describe('what is done about the newest segment', () => {
  it('is decided for every combination of evidence, by exactly one meaning', () => {
    for (const evidence of ALL) {
      const fitting = (Object.keys(MEANINGS) as TailDecision[]).filter(decision => MEANINGS[decision](evidence))
      expect(fitting).toEqual([decideTail(evidence)])
    }
  })

  it('needs each of the rules', () => {
    const deciding = (evidence: TailEvidence) =>
      TAIL_RULES.findIndex(({ when }) => KEYS.every(key => when[key] === undefined || when[key] === evidence[key]))
    expect(new Set(ALL.map(deciding))).toEqual(new Set(TAIL_RULES.keys()))
  })

  it('never leaves out what is proven, and never goes on in a file with anything behind its end', () => {
    for (const evidence of ALL) {
      const decision = decideTail(evidence)
      if (!evidence.provenIsWhole) expect(['corrupt', 'unsupported']).toContain(decision)
      if (evidence.torn) expect(decision).not.toBe('continue')
    }
  })
})
