import { describe, expect, test } from 'vitest'
import { decideTail, TAIL_RULES, type TailDecision, type TailEvidence } from '../../src/segments/recovery.js'

const FACTS: readonly (keyof TailEvidence)[] = [
  'closedAtEnd',
  'provenIsWhole',
  'hasCommits',
  'torn',
  'unsupported',
  'strict',
]

/** Every combination of the facts there is. */
const everything: TailEvidence[] = Array.from(
  { length: 1 << FACTS.length },
  (_, bits) => Object.fromEntries(FACTS.map((fact, i) => [fact, (bits & (1 << i)) !== 0])) as unknown as TailEvidence,
)

const matching = (evidence: TailEvidence) =>
  TAIL_RULES.filter(({ when }) =>
    Object.entries(when).every(([fact, value]) => evidence[fact as keyof TailEvidence] === value),
  )

describe('the table of what an opening does about the newest segment', () => {
  test('names every fact there is', () => {
    const named = new Set(TAIL_RULES.flatMap(({ when }) => Object.keys(when)))
    expect([...named].sort()).toEqual([...FACTS].sort())
  })

  test('is total: every combination has a rule, and the first that matches decides', () => {
    for (const evidence of everything) expect(decideTail(evidence)).toBe(matching(evidence)[0]?.decision)
  })

  test('has no rule that is never reached', () => {
    const reached = new Set(everything.map(evidence => matching(evidence)[0]))
    expect(reached.size).toBe(TAIL_RULES.length)
  })

  test('decides by nothing but the evidence', () => {
    for (const evidence of everything) {
      const copy = Object.fromEntries(Object.entries(evidence).reverse()) as unknown as TailEvidence
      expect(decideTail(copy)).toBe(decideTail(evidence))
    }
  })

  // What docs/DURABILITY.md promises, said once more and in other words than the table's.
  const duties: [string, (evidence: TailEvidence, decision: TailDecision) => boolean][] = [
    [
      'what a later version wrote is refused, whatever else is there',
      ({ unsupported }, decision) => unsupported === (decision === 'unsupported'),
    ],
    [
      'damage below what is proven is never passed over',
      ({ provenIsWhole, unsupported }, decision) => unsupported || provenIsWhole || decision === 'corrupt',
    ],
    [
      'nothing is called corrupt that was not proven',
      ({ provenIsWhole }, decision) => decision !== 'corrupt' || !provenIsWhole,
    ],
    [
      'the log goes on in the same file only after a close in order, with nothing behind the end',
      ({ closedAtEnd, torn, provenIsWhole }, decision) =>
        decision !== 'continue' || (closedAtEnd && !torn && provenIsWhole),
    ],
    [
      "only 'strict' refuses what is torn",
      ({ strict, torn }, decision) => decision !== 'refuse-torn' || (strict && torn),
    ],
    [
      "'strict' lets nothing torn pass",
      ({ strict, torn }, decision) => !(strict && torn) || !['continue', 'replace', 'succeed'].includes(decision),
    ],
    [
      'a segment is replaced only if it holds no commit',
      ({ hasCommits }, decision) => decision !== 'replace' || !hasCommits,
    ],
    ['and succeeded only if it holds one', ({ hasCommits }, decision) => decision !== 'succeed' || hasCommits],
  ]
  test.each(duties)('%s', (_what, holds) => {
    for (const evidence of everything)
      expect([evidence, holds(evidence, decideTail(evidence))]).toEqual([evidence, true])
  })
})
