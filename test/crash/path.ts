/** What a crash takes. `cut`: the power goes; `kill`: the process does; `rot`: the process does, and what it wrote never reaches the disk. */
export interface Loss {
  kind: 'cut' | 'kill' | 'rot'
  seed: number
}

/** A crash at the given step of a life. Several of them, one life after the other, lead to a state. */
export interface Shot {
  step: number
  loss: Loss
}

/** `31cut7/4kill0`: the power goes at step 31 of the workload (loss seed 7), the process dies at step 4 of the life after. */
export function formatPath(path: readonly Shot[]): string {
  return path.map(({ step, loss }) => `${step}${loss.kind}${loss.seed}`).join('/')
}

export function parsePath(text: string): Shot[] {
  if (text === '') return []
  return text.split('/').map(part => {
    const match = /^(\d+)(cut|kill|rot)(\d+)$/.exec(part)
    if (match === null) throw new TypeError(`'${part}' is no crash: a step, cut, kill or rot, and a seed`)
    const [, step, kind, seed] = match
    return { step: Number(step), loss: { kind: kind as Loss['kind'], seed: Number(seed) } }
  })
}
