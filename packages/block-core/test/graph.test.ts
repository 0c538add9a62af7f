import { createGraph } from '@blockloom/block-core'
import { isBlockError, type BlockError } from '@blockloom/block-driver'
import { describe, expect, test } from 'vitest'
import { diskDriver, empty, plain, TestDisk, toy, toyDisk } from './drivers.ts'

function setup(disks: Record<string, TestDisk>, more: object = {}) {
  return createGraph({ drivers: [toy, plain, diskDriver(disks), empty], ...more })
}
const failure = async (p: Promise<unknown>): Promise<BlockError> => p.then(() => Promise.reject(new Error('did not fail')), (e: unknown) => { if (!isBlockError(e)) throw e; return e })
const bytesOf = async (node: { size: number; read(o: number, b: Uint8Array): Promise<void> }) => { const b = new Uint8Array(node.size); await node.read(0, b); return b }

describe('opening', () => {
  test('a typed spec, a filename, json and flat options open the same thing', async () => {
    const graph = setup({ a: toyDisk([1, 2], 7) })
    const expected = new Uint8Array([...new Array(16).fill(7), ...new Array(16).fill(0)])
    for (const open of [
      () => graph.open({ driver: 'toy', file: { driver: 'file', filename: 'a' } }),
      () => graph.openFilename('a', { format: 'toy' }),
      () => graph.openFilename('file:a', { probe: true }),
      () => graph.openFilename('json:{"driver":"toy","file.driver":"file","file.filename":"a"}', {}),
      () => graph.openFilename('json:{"file":{"driver":"file","filename":"a"}}', { probe: true }),
      () => graph.openFilename('json:{"driver":"toy","file.filename":"a"}', {}),
      () => graph.openFilename('json:{"file.filename":"file:a"}', { probe: true }),
      () => graph.openSpec({ driver: 'empty', 'file.driver': 'toy', 'file.file.driver': 'file', 'file.file.filename': 'a' }),
    ]) {
      const node = await open()
      expect(await bytesOf(node)).toEqual(expected)
      await node.close()
    }
    expect(graph.nodes).toEqual([])
  })

  test('guessing the format has to be asked for', async () => {
    const graph = setup({ a: toyDisk([1], 1) })
    expect((await failure(graph.openFilename('a', {}))).message).toContain('guessing it is not allowed')
    expect(graph.nodes).toEqual([])
  })

  test.each([
    [{ driver: 'nope' }, "Unknown driver 'nope'"],
    [{}, "Parameter 'driver' is missing"],
    [{ driver: 'toy' }, 'A block device must be specified for "file"'],
    [{ driver: 'toy', tg: 'x', file: { driver: 'file', filename: 'a' } }, "Block format 'toy' does not support the option 'tg'"],
    [{ driver: 'toy', file: { driver: 'file' } }, "Parameter 'file.filename' is missing"],
    [{ driver: 'toy', file: 'nobody' }, "Cannot find device='' nor node-name='nobody'"],
    [{ driver: 'toy', file: { driver: 'file', filename: 'b' } }, "Could not open 'b': No such file or directory"],
    [{ driver: 'toy', 'node-name': '1x', file: { driver: 'file', filename: 'a' } }, "Invalid node-name: '1x'"],
    [{ driver: 'toy', quiet: 'maybe', file: { driver: 'file', filename: 'a' } }, "Parameter 'quiet' expects 'on' or 'off'"],
    [{ driver: 'toy', file: { driver: 'file', filename: 'junk' } }, 'not a toy'],
  ])('%j is refused and leaves nothing open', async (spec, message) => {
    const disks = { a: toyDisk([1], 1), junk: new TestDisk(512) }
    const graph = setup(disks)
    expect((await failure(graph.openSpec(spec))).message).toBe(message)
    expect(graph.nodes).toEqual([])
    expect(disks.a.open + disks.junk.open).toBe(0)
  })

  test('nodes are shared by name and live as long as somebody refers to them', async () => {
    const disks = { a: toyDisk([1], 9) }
    const graph = setup(disks)
    const file = await graph.open({ driver: 'file', filename: 'a', 'node-name': 'f' }, { passive: true })
    const top = await graph.open({ driver: 'toy', file: 'f', 'node-name': 't' }, { readOnly: true })
    expect(graph.node('f')).toBe(file)
    await file.close()
    expect(await bytesOf(top)).toEqual(new Uint8Array(16).fill(9))
    expect((await failure(graph.open({ driver: 'file', filename: 'a', 'node-name': 'f' }))).message).toBe("Duplicate nodes with node-name='f'")
    await top.close()
    expect(disks.a.open).toBe(0)
    expect((await failure(top.read(0, new Uint8Array(1)))).code).toBe('closed')
  })

  test('a node prints a name that opens the same thing again', async () => {
    const graph = setup({ a: toyDisk([1, 1], 3) })
    const plainName = await graph.openFilename('a', { format: 'toy' })
    expect(plainName.filename).toBe('a')
    await plainName.close()
    const f = await graph.open({ driver: 'file', filename: 'a' }, { passive: true })
    expect((await failure(f.write(0, new Uint8Array(1)))).errno).toBe('EPERM')
    const tagged = await graph.openSpec({ driver: 'toy', tag: 'x', file: f.name })
    expect(tagged.filename).toBe('json:{"driver":"toy","tag":"x","file":{"driver":"file","filename":"a"}}')
    const bytes = await bytesOf(tagged)
    await tagged.close()
    const again = await graph.openFilename('json:{"driver":"toy","tag":"x","file":{"driver":"file","filename":"a"}}', {}, { readOnly: true })
    expect(await bytesOf(again)).toEqual(bytes)
  })

  test('two writers that cannot share are refused, with both named', async () => {
    const graph = setup({ a: toyDisk([1], 1) })
    await graph.open({ driver: 'file', filename: 'a', 'node-name': 'g' })
    const error = await failure(graph.open({ driver: 'toy', file: 'g', 'node-name': 'one' }))
    expect(error.message).toMatch(/^Conflicts with use by node 'one' as 'file', which does not allow 'write' on g$/)
  })
})

describe('backing chains', () => {
  test('absent blocks come from below, at any depth, and status says from where', async () => {
    const graph = setup({ base: toyDisk([1, 1, 1, 1], 1), mid: toyDisk([0, 1, 2, 0], 2, 'base'), top: toyDisk([0, 0, 0, 1], 3, 'mid') }, { gate: 'allow' })
    const top = await graph.openFilename('top', { format: 'toy' })
    const bytes = await bytesOf(top)
    expect([bytes[0], bytes[16], bytes[32], bytes[48]]).toEqual([1, 2, 0, 3])
    const seen = []
    for (let at = 0; at < 64; at += 16) {
      const { depth, zero, data } = await top.status(at, 16)
      seen.push([depth, zero, data])
    }
    expect(seen).toEqual([[2, false, true], [1, false, true], [1, true, false], [0, false, true]])
    expect((await top.status(0, 16, top.backing!.backing)).allocated).toBe(false)
  })

  test('files named inside an image stay closed unless the gate lets them through', async () => {
    const disks = { base: toyDisk([1], 1), top: toyDisk([0], 2, 'base') }
    const denied = setup(disks)
    const error = await failure(denied.openFilename('top', { format: 'toy' }))
    expect(error.code).toBe('denied')
    expect(error.detail['filename']).toBe('base')
    expect(disks.base.open + disks.top.open).toBe(0)
    const asked: string[] = []
    const choosy = setup(disks, { gate: (r: { resolved: string }) => { asked.push(r.resolved); return true } })
    expect((await bytesOf(await choosy.openFilename('top', { format: 'toy' })))[0]).toBe(1)
    expect(asked).toEqual(['base'])
    // null is explicitly none; nothing is asked.
    const alone = await denied.open({ driver: 'toy', file: { driver: 'file', filename: 'top' }, backing: null })
    expect((await bytesOf(alone))[0]).toBe(0)
  })

  test('names are relative to the image that contains them', async () => {
    const graph = setup({ '/d/e/top': toyDisk([0], 2, '../base'), '/d/e/../base': toyDisk([1], 5) }, { gate: 'allow' })
    expect((await bytesOf(await graph.openFilename('/d/e/top', { format: 'toy' })))[0]).toBe(5)
  })

  test('loops end with an error', async () => {
    const graph = setup({ a: toyDisk([0], 1, 'b'), b: toyDisk([0], 1, 'a'), self: toyDisk([0], 1, 'self') }, { gate: 'allow' })
    expect((await failure(graph.openFilename('a', { format: 'toy' }, { readOnly: true }))).message).toContain("Backing file 'a' creates an infinite loop.")
    expect((await failure(graph.openFilename('self', { format: 'toy' }, { readOnly: true }))).message).toContain('infinite loop')
    expect(graph.nodes).toEqual([])
  })

  test('a missing backing file is named', async () => {
    const graph = setup({ a: toyDisk([0], 1, 'gone') }, { gate: 'allow' })
    expect((await failure(graph.openFilename('a', { format: 'toy' }))).message).toBe("Could not open backing file: Could not open 'gone': No such file or directory")
    const noBacking = await graph.openFilename('a', { format: 'toy' }, { noBacking: true })
    expect(noBacking.backing).toBeNull()
  })
})

describe('filters and probing', () => {
  test('an empty filter is invisible', async () => {
    const disks = { a: toyDisk([1, 2, 0], 4) }
    const graph = setup(disks)
    const node = await graph.open({ driver: 'empty', file: { driver: 'empty', file: { driver: 'toy', file: { driver: 'file', filename: 'a' } } } })
    expect(node.size).toBe(48)
    expect((await bytesOf(node))[0]).toBe(4)
    await node.write(17, new Uint8Array(3).fill(8))
    expect((await bytesOf(node)).slice(16, 22)).toEqual(Uint8Array.from([0, 8, 8, 8, 0, 0]))
    expect(await node.status(0, 48)).toMatchObject({ bytes: 16, data: true, depth: 0 })
    expect(node.limits.clusterSize).toBe(16)
    expect(node.filename).toContain('empty')
  })

  test('a guessed raw disk does not become something else', async () => {
    const disks = { r: new TestDisk(4096) }
    const graph = setup(disks)
    const node = await graph.openFilename('r', { probe: true })
    expect(node.driver.name).toBe('plain')
    await node.write(0, new Uint8Array(100).fill(1))
    const error = await failure(node.write(0, new TextEncoder().encode('TOY')))
    expect([error.code, error.errno]).toEqual(['denied', 'EPERM'])
    await node.write(1, new TextEncoder().encode('OY'))
    expect((await failure(node.write(0, Uint8Array.of(84)))).code).toBe('denied')
    await node.close()
    const named = await graph.openFilename('r', { format: 'plain' })
    await named.write(0, new TextEncoder().encode('TOY'))
    await named.close()
    // What has a header of its own may store anything, wherever its bytes lie.
    const guessed = await setup({ t: toyDisk([1, 1], 3) }).openFilename('t', { probe: true })
    await guessed.write(0, new Uint8Array(16))
  })
})

describe('creating', () => {
  test('a format is created in a new file and reopened', async () => {
    const disks: Record<string, TestDisk> = {}
    const graph = setup(disks)
    await graph.create({ format: 'toy', filename: 'n', options: { size: '64' } })
    expect(graph.nodes).toEqual([])
    const node = await graph.openFilename('n', { probe: true })
    expect([node.driver.name, node.size]).toEqual(['toy', 64])
  })

  test('a bad option leaves no file behind', async () => {
    const disks: Record<string, TestDisk> = {}
    const graph = setup(disks)
    expect((await failure(graph.create({ format: 'toy', filename: 'n', options: { size: 16, cluster: 1 } }))).message).toBe("Invalid parameter 'cluster'")
    expect(disks['n']).toBeUndefined()
  })
})
