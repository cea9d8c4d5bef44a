import type { FileSystem } from '../file-system/types.js'
import type { VerifyOptions } from '../types.js'
import { createFormat } from './create-format.js'
import { type Lineage, traceLineage } from './lineage.js'
import { type Survey, surveyLog } from './survey.js'
import { targetsOf } from './targets.js'
import { isOk, type Verified, verifyTargets } from './verification.js'

/** All that is known of a log after one look at all of it. */
export interface Examined {
  survey: Survey
  lineage: Lineage
  /** With the findings of survey and links, too. */
  report: Verified['report']
  verdicts: Verified['verdicts']
}

/** Surveys, links and reads a log once, from outside. */
export async function examineLog(fs: FileSystem, directory: string, options: VerifyOptions): Promise<Examined> {
  const survey = await surveyLog(fs, directory, createFormat)
  const lineage = traceLineage(survey)
  const { report, verdicts } = await verifyTargets({
    fs,
    format: survey.format,
    targets: targetsOf(survey, lineage),
    options,
    check: () => undefined,
    hasLeft: () => false,
  })
  const findings = [...survey.findings, ...lineage.findings, ...report.findings]
  return { survey, lineage, report: { ...report, findings, ok: isOk(findings) }, verdicts }
}
