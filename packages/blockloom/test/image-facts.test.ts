import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { oracleAvailable, qemuImg, qemuIo, tempFolder } from '@blockloom/oracle'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { backingPath, createImage, imageInfo, measureImage, openImage, openSnapshot } from '../src/index.ts'

let folder: string
beforeEach(() => void (folder = tempFolder()))
afterEach(() => rm(folder, { recursive: true, force: true }))

describe('backingPath', () => {
  test.each([
    ['vm.qcow2', 'base.raw', 'base.raw'],
    ['images/vm.qcow2', '../base.raw', 'images/../base.raw'],
    ['/a/vm.qcow2', 'base.raw', '/a/base.raw'],
    ['/a/vm.qcow2', '/b/base.raw', '/b/base.raw'],
    ['a/vm.qcow2', 'nbd://host', 'nbd://host'],
    ['a/vm.qcow2', 'json:{}', 'json:{}'],
    ['a/vm.qcow2', './x:y', 'a/./x:y'],
    ['file:vm.qcow2', 'base.raw', 'file:base.raw'],
    ['json:{}', 'base.raw', undefined],
    ['json:{}', '/base.raw', '/base.raw'],
  ])('%s names %s', (image, name, path) => expect(backingPath(image, name)).toBe(path))
})

describe('imageInfo', () => {
  test('describes an image and what it names, without opening that', async () => {
    const name = join(folder, 'top.qcow2')
    await createImage(name, { format: 'qcow2', size: '1G', options: { backing_file: 'absent.raw', backing_fmt: 'raw' } })
    await using disk = await openImage(name, { format: 'qcow2', noIo: true, noBacking: true })
    expect(await imageInfo(disk.node)).toMatchObject({
      filename: name,
      format: 'qcow2',
      'virtual-size': 1 << 30,
      'cluster-size': 65536,
      'backing-filename': 'absent.raw',
      'full-backing-filename': join(folder, 'absent.raw'),
      'backing-filename-format': 'raw',
    })
  })
})

describe('measureImage', () => {
  test('measures a size, or an image', async () => {
    expect(await measureImage({ format: 'raw', source: 1000 })).toEqual({ required: 1024, fullyAllocated: 1024 })
    const name = join(folder, 'a.qcow2')
    await createImage(name, { format: 'qcow2', size: '1M' })
    await using disk = await openImage(name, { format: 'qcow2' })
    expect(await measureImage({ format: 'raw', source: disk.node })).toEqual({ required: 1 << 20, fullyAllocated: 1 << 20 })
  })

  test('refuses formats that it does not know, or that cannot', async () => {
    await expect(measureImage({ format: 'zip', source: 1 })).rejects.toThrow("Unknown file format 'zip'")
    await expect(measureImage({ format: 'null-co', source: 1 })).rejects.toMatchObject({ code: 'unsupported' })
    await expect(measureImage({ format: 'raw', source: 1, options: { colour: 'red' } })).rejects.toThrow("Invalid parameter 'colour'")
  })
})

describe.runIf(oracleAvailable())('openSnapshot', () => {
  test('reads the disk as it was, through the backing file', async () => {
    const [base, top] = [join(folder, 'base.raw'), join(folder, 'top.qcow2')]
    qemuImg('create', '-f', 'raw', base, '1M')
    qemuIo(base, ['write -P 1 0 512k'], { format: 'raw' })
    qemuImg('create', '-f', 'qcow2', '-b', base, '-F', 'raw', top)
    qemuIo(top, ['write -P 2 64k 64k'], { format: 'qcow2' })
    qemuImg('snapshot', '-c', 'before', top)
    qemuIo(top, ['write -P 3 0 1M'], { format: 'qcow2' })
    await using disk = await openImage(top, { format: 'qcow2', implicit: 'allow' })
    await using snapshot = await openSnapshot(disk, 'before')
    expect([(await snapshot.read(0, 1))[0], (await snapshot.read(70000, 1))[0], (await snapshot.read(600 << 10, 1))[0]]).toEqual([1, 2, 0])
    const runs: unknown[] = []
    for await (const { offset, length, zero } of snapshot.extents()) runs.push([offset >> 10, length >> 10, zero])
    expect(runs.at(-1)).toEqual([512, 512, true])
    expect(runs.every((run) => (run as [number, number, boolean])[0] >= 512 || !(run as [number, number, boolean])[2])).toBe(true)
    await expect(openSnapshot(disk, 'absent')).rejects.toMatchObject({ code: 'not-found' })
  })

  test('says if the format has none', async () => {
    const name = join(folder, 'a.raw')
    await createImage(name, { format: 'raw', size: 512 })
    await using disk = await openImage(name, { format: 'raw' })
    await expect(openSnapshot(disk, '1')).rejects.toMatchObject({ code: 'unsupported' })
  })
})
