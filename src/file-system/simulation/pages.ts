export const PAGE_BYTES = 4096

interface Page {
  readonly bytes: Uint8Array
  /** Whoever created the page; anybody else copies it before writing. */
  readonly owner: object
}

/** Bytes of a file, without its size: sparse pages, cloned by sharing and copied on write. What was never written is zero. */
export class Pages {
  #pages: (Page | undefined)[]
  #owner = {}

  constructor(pages: (Page | undefined)[] = []) {
    this.#pages = pages
  }

  clone(): Pages {
    this.#owner = {}
    return new Pages(this.#pages.slice())
  }

  /** Pages that hold something. */
  get allocated(): number {
    let count = 0
    for (const page of this.#pages) if (page) count++
    return count
  }

  has(pageIndex: number): boolean {
    return this.#pages[pageIndex] !== undefined
  }

  read(target: Uint8Array, offset: number, length: number, position: number): void {
    for (let done = 0; done < length; ) {
      const at = (position + done) % PAGE_BYTES
      const count = Math.min(PAGE_BYTES - at, length - done)
      const page = this.#pages[Math.floor((position + done) / PAGE_BYTES)]
      if (page) target.set(page.bytes.subarray(at, at + count), offset + done)
      else target.fill(0, offset + done, offset + done + count)
      done += count
    }
  }

  write(data: Uint8Array, position: number): void {
    for (let done = 0; done < data.length; ) {
      const at = (position + done) % PAGE_BYTES
      const count = Math.min(PAGE_BYTES - at, data.length - done)
      const page = this.#writable(Math.floor((position + done) / PAGE_BYTES))
      page.set(data.subarray(done, done + count), at)
      done += count
    }
  }

  /** Everything from `position` on becomes zero. */
  zeroFrom(position: number): void {
    const first = Math.floor(position / PAGE_BYTES)
    if (this.#pages.length > first + 1) this.#pages.length = first + 1
    if (!this.#pages[first]) return
    if (position % PAGE_BYTES === 0) this.#pages.length = first
    else this.#writable(first).fill(0, position % PAGE_BYTES)
  }

  zero(from: number, to: number): void {
    this.write(new Uint8Array(to - from), from)
  }

  #writable(index: number): Uint8Array {
    const page = this.#pages[index]
    if (page?.owner === this.#owner) return page.bytes
    const bytes = page ? page.bytes.slice() : new Uint8Array(PAGE_BYTES)
    this.#pages[index] = { bytes, owner: this.#owner }
    return bytes
  }
}
