import type { Format, SegmentHeader } from '../codec/format.js'
import { isNoSpace, isOutOfDescriptors } from '../file-system/errno.js'
import { writeFully } from '../file-system/transfer.js'
import type { File, FileSystem } from '../file-system/types.js'
import { NEXT_SEGMENT_NAME, segmentName } from './name.js'

/** Nothing was published and nothing is in doubt: there was no space or no descriptor for the new file. */
export class PublishDeclined extends Error {
  constructor(cause: unknown) {
    super('A new segment could not be prepared', { cause })
  }
}

export interface Publication {
  fs: FileSystem
  directory: string
  format: Format
  header: SegmentHeader
  /** Writes the content the segment is published with, from `contentStart` on; resolves with its end and last index. */
  writeContent?: (file: File, contentStart: number) => Promise<{ publishedEnd: number; publishedLastIndex: number }>
}

export interface Published {
  header: SegmentHeader
  path: string
  contentStart: number
}

/**
 * Gives the log a new segment: written under a temporary name, synced, renamed, directory synced. The rename is the point at
 * which it exists. Throws PublishDeclined while nothing has happened yet; any other error leaves the outcome unknown.
 */
export async function publishSegment(publication: Publication): Promise<Published> {
  const { fs, directory } = publication
  const temporary = `${directory}/${NEXT_SEGMENT_NAME}`
  const { file, header, contentStart } = await prepare(publication, temporary)
  const path = `${directory}/${segmentName(header.id, header.firstIndex)}`
  try {
    await file.sync()
    await fs.rename(temporary, path)
    await fs.syncDirectory(directory)
    return { header, path, contentStart }
  } finally {
    await file.close()
  }
}

async function prepare(publication: Publication, temporary: string): Promise<Omit<Published, 'path'> & { file: File }> {
  const { fs, format, writeContent } = publication
  let { header } = publication
  let file: File | undefined
  try {
    if ((await fs.stat(temporary)) !== undefined) await fs.unlink(temporary)
    file = await fs.open(temporary, 'create')
    const contentStart = format.encodeHeader(header).length
    // The content first: only then is known what the header says of it.
    if (writeContent !== undefined) header = { ...header, ...(await writeContent(file, contentStart)) }
    await writeFully(file, format.encodeHeader(header), 0)
    return { header, file, contentStart }
  } catch (error) {
    await discard(fs, file, temporary)
    throw isNoSpace(error) || isOutOfDescriptors(error) ? new PublishDeclined(error) : error
  }
}

/** Removes the unfinished file; where even that fails, the next opening removes it, and the first error is the one to tell. */
async function discard(fs: FileSystem, file: File | undefined, temporary: string): Promise<void> {
  if (file === undefined) return
  await file.close()
  await fs.unlink(temporary).catch(() => undefined)
}
