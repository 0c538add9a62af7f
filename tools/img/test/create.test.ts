import { existsSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { oracleAvailable } from '@blockloom/oracle'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { fixtureFolder } from './support/fixtures.ts'
import { Twins, words } from './support/side-by-side.ts'

describe.runIf(oracleAvailable())('create does what qemu-img does', () => {
  let fixtures: string
  let twins: Twins
  beforeAll(() => void (fixtures = fixtureFolder()))
  afterAll(() => rmSync(fixtures, { recursive: true, force: true }))
  afterEach(() => twins.remove())

  // The image is called x.
  test.each([
    'create -f qcow2 x 1G',
    'create x 10M',
    'create -q -f qcow2 x 1G',
    'create -f qcow2 x 1.5G',
    'create -f qcow2 x 1025',
    'create -f qcow2 x 0',
    "create -f qcow2 x ' +1k'",
    'create -f raw x 0x1000',
    'create -f raw x 0x1k',
    'create -f qcow2 -o preallocation=metadata,lazy_refcounts=on,cluster_size=128k,compat=1.1 x 20M',
    'create -f qcow2 -o compat=0.10 x 20M',
    'create -f qcow2 -o compat=v2 x 20M',
    'create -f qcow2 -o cluster_size=64k -o preallocation=off,refcount_bits=8 x 1k',
    'create -f qcow2 -o cluster_size=4k,cluster_size=8k x 1M',
    'create -f qcow2 -o compression_type=zstd,extended_l2=on,cluster_size=128k x 1M',
    'create -f qcow2 -o size=2M x',
    'create -f qcow2 -o refcount_bits=0x10 x 1M',
    'create -f qcow2 -o lazy_refcounts x 1M',
    'create -f qcow2 -o nolazy_refcounts x 1M',
    'create -f qcow2 -o lazy_refcounts=yes x 1M',
    'create -f qcow2 -b data.qcow2 -F qcow2 x',
    'create -f qcow2 -b data.qcow2 -F qcow2 x 10M',
    'create -f qcow2 -b data.raw -F raw x',
    'create -f qcow2 -o backing_file=data.raw,backing_fmt=raw x',
    'create -f qcow2 -o backing_file=top.qcow2 -b data.qcow2 -F qcow2 x',
    'create -f qcow2 -b absent -F qcow2 -u x 1G',
    `create -f qcow2 -b 'json:{"driver":"qcow2","file":{"driver":"file","filename":"data.qcow2"}}' -F qcow2 x`,
    'create -f qcow2 -b ../data.qcow2 -F qcow2 sub/x',
    "create -f qcow2 -b 'a,b' -F qcow2 -u x 1M",
    'create -f qcow2 x 1M -o data_file=x.raw',
    'create -f qcow2 -o data_file=x.raw,data_file_raw=on x 1M',
    'create -f raw -o preallocation=full x 1M',
    'create -f raw -o preallocation=falloc,size=1M x',
    'create -f qcow2 -o nocow=on x 1M',
    'create -f qcow2 -o extent_size_hint=2M,nocow=off,preallocation=metadata x 1M',
    'create -f raw -o extent_size_hint=64k,preallocation=falloc,nocow=on x 1M',
    'create -f raw -o nonocow x 1M',
    'create -f qcow2 -o nocow=on,data_file=x.raw x 1M',
  ])('%s', async (line) => {
    twins = new Twins(fixtures, line)
    await twins.expectSame(words(line))
    const image = line.includes('sub/x') ? 'sub/x' : 'x'
    for (const file of [image, 'x.raw']) {
      expect(existsSync(join(twins.ours, file)), file).toBe(existsSync(join(twins.theirs, file)))
      if (!existsSync(join(twins.theirs, file))) continue
      expect(Buffer.compare(readFileSync(join(twins.ours, file)), readFileSync(join(twins.theirs, file))), `bytes of ${file}`).toBe(0)
    }
  })

  test.each([
    'create',
    'create -f qcow2 x',
    'create -f raw x',
    'create -f foo x 1M',
    'create -f vhdx-nope x 1M',
    'create -f qcow2 x 1X',
    'create -f raw x 1kb',
    "create -f raw x '1 k'",
    'create -f raw x 1.5',
    'create -f raw x .5k',
    'create -f raw x 1e3',
    "create -f raw x ''",
    'create -f raw x 8E',
    'create -f raw x 18446744073709551616',
    'create -f raw x 7E',
    'create -f qcow2 x 7E',
    'create -f qcow2 x -1',
    'create -f qcow2 x -- -1',
    'create -f qcow2 x 1M foo',
    'create -e x 1M',
    'create -f qcow2 -o foo=bar x 1M',
    'create -f qcow2 -o foo x 1M',
    'create -f qcow2 -o nofoo x 1M',
    'create -o cluster_size=4k x 1M',
    'create -f qcow2 -o =4k x 1M',
    'create -f qcow2 -o cluster_size x 1M',
    'create -f qcow2 -o ,cluster_size=64k x 1M',
    'create -f qcow2 -o cluster_size=64k, x 1M',
    "create -f qcow2 -o '' x 1M",
    'create -f qcow2 -o cluster_size=3 x 1M',
    'create -f qcow2 -o cluster_size=4M x 1M',
    'create -f qcow2 -o cluster_size=17E x 1M',
    'create -f qcow2 -o lazy_refcounts=foo x 1M',
    'create -f qcow2 -o preallocation=foo x 1M',
    'create -f qcow2 -o refcount_bits=3 x 1M',
    'create -f qcow2 -o refcount_bits=x x 1M',
    'create -f qcow2 -o refcount_bits=-1 x 1M',
    'create -f qcow2 -o refcount_bits=1k x 1M',
    'create -f qcow2 -o compat=2 x 1M',
    'create -f qcow2 -o compat=0.10,lazy_refcounts=on x 1M',
    'create -f qcow2 -o compat=0.10,refcount_bits=8 x 1M',
    'create -f qcow2 -o compat=0.10,extended_l2=on x 1M',
    'create -f qcow2 -o compat=0.10,compression_type=zstd x 1M',
    'create -f qcow2 -o compression_type=foo x 1M',
    'create -f qcow2 -o data_file_raw=on x 1M',
    'create -f qcow2 -o extended_l2=on,cluster_size=4k x 1M',
    'create -f qcow2 -o size=2M x 1M',
    'create -f qcow2 -o size=foo x',
    'create -f qcow2 -o size=17E x',
    'create -f qcow2 absent/x 1M',
    'create -f qcow2 sub 1M',
    "create -f qcow2 '' 1M",
    'create -f raw foo:bar 1M',
    'create -f qcow2 -b data.qcow2 x',
    'create -f qcow2 -b data.raw x 10M',
    'create -f qcow2 -o backing_file=data.raw x',
    'create -f qcow2 -F qcow2 x 1G',
    'create -f qcow2 -b absent -F qcow2 x',
    'create -f qcow2 -b absent -F qcow2 x 1G',
    'create -f qcow2 -b absent -F qcow2 -u x',
    'create -f qcow2 -u x',
    'create -f qcow2 -b data.raw -F foo x',
    'create -f qcow2 -b data.raw -F qcow2 x',
    'create -f qcow2 -b foo:bar -F qcow2 x',
    'create -f qcow2 -b orphan.qcow2 -F qcow2 x',
    'create -f qcow2 -b absent -F qcow2 sub/x 1M',
    "create -f qcow2 -b '' x 1M",
    'create -f qcow2 -b x -F qcow2 x',
    'create -f raw -b data.raw -F raw x 1M',
    'create -f foo -o help',
    'create -f qcow2 -o help foo:bar',
    'create -f qcow2 -o help null-co://',
    'create -f qcow2 -o nocow=maybe x 1M',
    'create -f qcow2 -o nocow x 1M',
    'create -f raw -o extent_size_hint=x x 1M',
    'create -f raw -o extent_size_hint=5G x 1M',
    'create -f qcow2 -o extent_size_hint=5G x 1M',
  ])('refuses: %s', async (line) => {
    twins = new Twins(fixtures, line)
    await twins.expectSame(words(line))
  })

  test.each([
    'create -f qcow2 -o help',
    'create -f qcow2 -o help x',
    'create -f qcow2 -o help file:x',
    'create -f raw -o help',
    'create -f raw -o help x',
    "create -f raw -o '?' x",
    'convert -O qcow2 -o help',
    'convert -O qcow2 -o help data.raw',
    'convert -O qcow2 -o help data.raw x',
    'convert -O raw -o help data.raw x',
  ])('lists creation options: %s', async (line) => {
    twins = new Twins(fixtures, line)
    await twins.expectSame(words(line))
  })
})
