import { RequestFlag } from '@blockloom/block-driver'
import * as fs from 'node:fs'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { nativeDriver, onLinux, open, plainDriver, read, scratchFile } from './scratch.ts'

const BLOCK = 4096
const BLOCKS = 300

/** A file in memory: a file system with other gaps than that of the disk. */
function memoryFile(): string {
  const folder = fs.mkdtempSync('/dev/shm/blockloom-file-')
  onTestFinished(() => fs.rmSync(folder, { recursive: true }))
  const path = join(folder, 'disk')
  fs.writeFileSync(path, '')
  return path
}

const configurations = [
  { name: 'plain', driver: plainDriver, path: () => scratchFile(0), values: {} },
  ...(onLinux ? [{ name: 'native', driver: nativeDriver, path: () => scratchFile(0), values: {} }] : []),
  ...(onLinux ? [{ name: 'direct', driver: nativeDriver, path: () => scratchFile(0), values: { 'cache.direct': true } }] : []),
  ...(onLinux && fs.existsSync('/dev/shm') ? [{ name: 'tmpfs', driver: nativeDriver, path: memoryFile, values: {} }] : []),
]

describe.each(configurations)('random requests, $name', ({ driver, path, values }) => {
  test('agree with a plain array, and the file is it in the end', async () => {
    const seed = Math.floor(Math.random() * 2 ** 31)
    let state = seed
    const random = (below: number) => (state = (Math.imul(state, 1103515245) + 12345) & 0x7fffffff) % below
    const name = path()
    const image = await open(driver, name, values)
    const step = image.limits.requestAlignment === 1 ? 1 : BLOCK
    let model: Uint8Array<ArrayBuffer> = new Uint8Array(BLOCKS * BLOCK)
    await image.resize!.resize(model.length, { preallocation: 'off', zeroFill: true })
    const grown = (end: number) => {
      if (end <= model.length) return
      const next = new Uint8Array(end)
      next.set(model)
      model = next
    }
    for (let i = 0; i < 300; i++) {
      const hint = `seed ${seed}, request ${i}`
      const offset = random(BLOCKS) * BLOCK + (step === 1 ? random(BLOCK) : 0)
      const bytes = (1 + random(random(4) ? 8 : 64)) * BLOCK - (step === 1 ? random(BLOCK) : 0)
      const action = random(12)
      if (action < 4) {
        const data = new Uint8Array(bytes).fill(1 + random(255))
        await image.writer!.write(offset, data, 0)
        grown(offset + bytes)
        model.set(data, offset)
      } else if (action < 6 && image.zero) {
        const done = await image.zero(offset, bytes, random(2) ? RequestFlag.MAY_UNMAP : 0)
        expect(done, hint).toBe('done')
        grown(offset + bytes)
        model.fill(0, offset, offset + bytes)
      } else if (action === 6 && image.discard) {
        expect(await image.discard(offset, bytes), hint).toBe('done')
        model.fill(0, offset, offset + bytes)
      } else if (action === 7) {
        const size = (1 + random(BLOCKS)) * BLOCK
        const growing = size > model.length
        await image.resize!.resize(size, { preallocation: growing ? (['off', 'falloc', 'full'] as const)[random(3)]! : 'off', zeroFill: true })
        const next = new Uint8Array(size)
        next.set(model.subarray(0, size))
        model = next
      } else if (action === 8 && image.extents && offset < model.length) {
        const extent = await image.extents(offset, bytes)
        expect(extent.bytes >= 1 && extent.bytes <= bytes && extent.bytes % step === 0, hint).toBe(true)
        if (extent.kind === 'zero') expect(model.subarray(offset, offset + extent.bytes).every((byte) => byte === 0), hint).toBe(true)
      } else {
        const want = new Uint8Array(bytes)
        want.set(model.subarray(offset, offset + bytes))
        expect(Buffer.compare(await read(image, offset, bytes), want), hint).toBe(0)
      }
      expect(image.size(), hint).toBe(model.length)
    }
    expect(Buffer.compare(fs.readFileSync(name), model), `seed ${seed}`).toBe(0)
  })
})
