// What a user would install: every published package is packed, and the tarballs are checked by publint (strict),
// by "are the types wrong" (ESM only), and by a consumer that imports every entry point at run time and in types.
import { mkdirSync, readFileSync, readdirSync, rmSync } from 'node:fs'
import path from 'node:path'
import { checkPackage, createPackageFromTarballData, type Problem } from '@arethetypeswrong/core'
import { publint } from 'publint'
import { formatMessage } from 'publint/utils'
import { checkConsumer } from './consumer.ts'
import { publishedPackages, root } from './packages.ts'
import { execute } from './process.ts'

const packed = path.join(root, 'temp', 'packed')
const packages = await publishedPackages()

async function pack(): Promise<void> {
  rmSync(packed, { recursive: true, force: true })
  mkdirSync(packed, { recursive: true })
  const { packageManager } = JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8')) as { packageManager: string }
  const filters = packages.flatMap(({ manifest }) => ['--filter', manifest.name])
  await execute('npx', ['--yes', packageManager, '-r', ...filters, 'pack', '--pack-destination', packed], root)
}

/** Our packages are ESM: how CommonJS and the oldest resolution see them is no problem. */
function concernsUs(problem: Problem): boolean {
  if ('resolutionKind' in problem) return problem.resolutionKind === 'node16-esm' || problem.resolutionKind === 'bundler'
  if ('resolutionOption' in problem) return problem.resolutionOption !== 'node10'
  return true
}

async function checkTarball(file: string): Promise<readonly string[]> {
  const data = new Uint8Array(readFileSync(path.join(packed, file)))
  const { messages, pkg } = await publint({ pack: { tarball: data.buffer }, strict: true })
  const analysis = await checkPackage(createPackageFromTarballData(data))
  const problems = analysis.types === false ? ['the package has no types'] : analysis.problems.filter(concernsUs).map((problem) => `types: ${JSON.stringify(problem)}`)
  return [...messages.map((message) => `publint: ${formatMessage(message, pkg, { color: false }) ?? message.code}`), ...problems]
}

await pack()
const tarballs = readdirSync(packed).sort()
if (tarballs.length !== packages.length) throw new Error(`${tarballs.length} tarballs for ${packages.length} packages`)
for (const file of tarballs) {
  for (const problem of await checkTarball(file)) {
    console.error(`${file}: ${problem}`)
    process.exitCode = 1
  }
}
for (const problem of await checkConsumer(packages, packed)) {
  console.error(`consumer: ${problem}`)
  process.exitCode = 1
}
console.log(`${tarballs.length} tarballs checked`)
