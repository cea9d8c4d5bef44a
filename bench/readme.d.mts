interface Row {
  peer: string
  how: string
  reference?: boolean
  median?: number
  survives: string
}
interface Target {
  wanted: string
  value?: number
  missing?: string
  met?: boolean
  against?: string
}
interface Case {
  id: string
  title: string
  unit: string
  better: 'higher' | 'lower'
  rows: Row[]
  targets?: Target[]
}
interface Results {
  name: string
  date: string
  command: string
  commit: string
  rounds: number
  machine: { cpu: string; cores: number; node: string }
  cases: Case[]
}
export function summarize(results: Results, hasChart: (chart: string) => boolean): string
export function replaceBetweenMarks(readme: string, text: string): string
