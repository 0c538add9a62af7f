import { copyFileSync, mkdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { qemuImg, qemuIo } from '@blockloom/oracle'

/** Makes images of many kinds, with the reference. */
export function makeFixtures(folder: string): void {
  const at = (name: string): string => join(folder, name)
  const patch = (from: string, to: string, change: (bytes: Buffer) => void): void => {
    const bytes = readFileSync(at(from))
    change(bytes)
    writeFileSync(at(to), bytes)
  }
  const create = (name: string, size: string, ...args: string[]): void => void qemuImg('create', '-q', '-f', 'qcow2', ...args, at(name), size)

  create('data.qcow2', '4M')
  qemuIo(at('data.qcow2'), ['write -P 1 0 64k', 'write -P 2 1M 128k'])
  create('empty.qcow2', '4M')
  create('nothing.qcow2', '0')
  create('v2.qcow2', '1500k', '-o', 'compat=0.10')
  create('many.qcow2', '8M', '-o', 'cluster_size=4k,refcount_bits=8,lazy_refcounts=on,extended_l2=off')
  qemuIo(at('many.qcow2'), ['write -P 3 0 4k', 'write -P 4 12k 4k', 'write -z 20k 8k', 'write -P 5 5M 100k'])
  create('zeroes.qcow2', '4M')
  qemuIo(at('zeroes.qcow2'), ['write -z 0 64k', 'write -P 1 64k 64k', 'write -z -u 64k 64k', 'write -P 1 128k 64k', 'write -z 128k 64k'])
  create('ext.qcow2', '4M', '-o', 'extended_l2=on')
  qemuIo(at('ext.qcow2'), ['write -P 3 0 4k', 'write -P 4 12k 4k', 'write -z 20k 2k'])
  mkdirSync(at('sub'))
  const relative = (name: string, backing: string, ...rest: string[]): void =>
    void qemuImg('create', '-q', '-f', 'qcow2', '-u', '-b', backing, '-F', 'qcow2', at(name), ...rest)
  relative('over.qcow2', 'data.qcow2', '8M')
  qemuIo(at('over.qcow2'), ['write -P 9 64k 64k', 'write -z 1M 64k', 'write -P 7 6M 64k'])
  relative('top.qcow2', 'over.qcow2', '6M')
  relative('sub/over.qcow2', '../data.qcow2', '4M')
  relative('orphan.qcow2', 'absent.qcow2', '1M')
  relative('loop.qcow2', 'loop.qcow2', '1M')
  create('snap.qcow2', '4M')
  qemuIo(at('snap.qcow2'), ['write -P 5 0 128k'])
  qemuImg('snapshot', '-c', 'first', at('snap.qcow2'))
  qemuIo(at('snap.qcow2'), ['write -P 6 64k 128k'])
  qemuImg('snapshot', '-c', 'a rather long name of a snapshot', at('snap.qcow2'))
  qemuImg('snapshot', '-c', '1', at('snap.qcow2'))
  create('bitmap.qcow2', '1G')
  qemuImg('bitmap', '--add', at('bitmap.qcow2'), 'b0')
  qemuImg('bitmap', '--add', '-g', '1M', at('bitmap.qcow2'), 'b1')
  qemuImg('bitmap', '--disable', at('bitmap.qcow2'), 'b1')
  qemuImg('convert', '-c', '-O', 'qcow2', at('data.qcow2'), at('packed.qcow2'))
  qemuImg('convert', '-O', 'raw', at('data.qcow2'), at('data.raw'))
  qemuImg('create', '-q', '-f', 'raw', at('hole.raw'), '4M')
  writeFileSync(at('odd.raw'), new Uint8Array(1001).fill(7))
  copyFileSync(at('data.raw'), at('longer.raw'))
  truncateSync(at('longer.raw'), 5 << 20)
  qemuImg('create', '-q', '-f', 'qcow2', '-u', '-b', 'data.raw', '-F', 'raw', at('onraw.qcow2'), '4M')
  create('datafile.qcow2', '1M', '-o', `data_file=${at('datafile.raw')}`)
  // The name in the image is relative, as users have it.
  qemuImg('amend', '-o', 'data_file=datafile.raw', at('datafile.qcow2'))
  patch('data.qcow2', 'dirty.qcow2', (b) => b.writeUInt8(1, 79))
  patch('data.qcow2', 'corruptbit.qcow2', (b) => b.writeUInt8(2, 79))
  patch('data.qcow2', 'unknown.qcow2', (b) => b.writeUInt8(0x80, 72))
  patch('data.qcow2', 'version.qcow2', (b) => b.writeUInt8(9, 7))
  patch('data.qcow2', 'clusterbits.qcow2', (b) => b.writeUInt8(40, 23))
  patch('data.qcow2', 'l1.qcow2', (b) => b.writeUInt8(0xff, 40))
  writeFileSync(at('short.qcow2'), readFileSync(at('data.qcow2')).subarray(0, 50))
  const l1 = Number(readFileSync(at('data.qcow2')).readBigUInt64BE(40))
  const l2 = Number(readFileSync(at('data.qcow2')).readBigUInt64BE(l1) & 0x00fffffffffffe00n)
  patch('data.qcow2', 'leak.qcow2', (b) => b.fill(0, l2, l2 + 8))
  patch('data.qcow2', 'corrupt.qcow2', (b) => {
    const block = Number(b.readBigUInt64BE(Number(b.readBigUInt64BE(48))))
    const cluster = Number(b.readBigUInt64BE(l2) & 0x00fffffffffffe00n) / 65536
    b.writeUInt16BE(0, block + cluster * 2)
  })
}
