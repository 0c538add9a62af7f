import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createImage } from 'blockloom'
import { expect, test } from 'vitest'

test('an image that nobody closes does not keep the process alive', { timeout: 30_000 }, async () => {
  const folder = mkdtempSync(join(tmpdir(), 'blockloom-unclosed-'))
  try {
    const path = join(folder, 'disk.qcow2')
    await createImage(path, { format: 'qcow2', size: '1M' })
    const index = new URL('../src/index.ts', import.meta.url).href
    const script = `
      const { openImage } = await import(${JSON.stringify(index)})
      const disk = await openImage(${JSON.stringify(path)}, { format: 'qcow2', write: true })
      await disk.write(0, new Uint8Array(512).fill(1))
      await disk.flush()
      console.log('done')
    `
    const output = execFileSync(process.execPath, ['--input-type=module', '--eval', script], { timeout: 20_000, encoding: 'utf8' })
    expect(output).toBe('done\n')
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
})
