// The public surface of each published package, as text under review: etc/<short-name>.api.md, and
// etc/<short-name>.<subpath>.api.md for further entry points. `--update` writes the reports; without it, a
// report that differs from the sources is an error.
import { cpSync, existsSync, mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { CompilerState, Extractor, ExtractorConfig, ExtractorLogLevel, type ExtractorMessage, type IConfigFile } from '@microsoft/api-extractor'
import { publishedPackages, root, type PublishedPackage, type Target } from './packages.ts'

interface Entry {
  readonly pkg: PublishedPackage
  /** The name of the report, without `.api.md`. */
  readonly report: string
  /** The declarations, in the view. */
  readonly declarations: string
}

const view = path.join(root, 'temp', 'api-view')
const update = process.argv.includes('--update')

/**
 * Lays the packages out as a consumer sees them: `exports` point to declarations and siblings are found in
 * node_modules. (In the workspace `exports` point to sources, which api-extractor does not read.)
 */
function layOut(packages: readonly PublishedPackage[]): readonly Entry[] {
  rmSync(view, { recursive: true, force: true })
  mkdirSync(path.join(view, 'node_modules', '@blockloom'), { recursive: true })
  symlinkSync(path.join(root, 'node_modules', '@types'), path.join(view, 'node_modules', '@types'))
  return packages.flatMap((pkg) => {
    const folder = path.join(view, pkg.shortName)
    const declarations = path.join(pkg.folder, 'dist')
    if (!existsSync(declarations)) throw new Error(`${pkg.manifest.name} is not built`)
    cpSync(declarations, path.join(folder, 'dist'), { recursive: true, filter: (file) => !/\.(js|map|tsbuildinfo)$/.test(file) })
    writeFileSync(path.join(folder, 'package.json'), JSON.stringify({ ...pkg.manifest, exports: pkg.manifest.publishConfig?.exports, type: 'module' }))
    symlinkSync(folder, path.join(view, 'node_modules', pkg.manifest.name))
    return entries(pkg, folder)
  })
}

function entries(pkg: PublishedPackage, folder: string): readonly Entry[] {
  return Object.entries(pkg.manifest.publishConfig?.exports ?? {}).flatMap(([subpath, target]) => {
    const file = declarationsOf(target)
    if (file === undefined) return []
    if (!existsSync(path.join(folder, file))) throw new Error(`${pkg.manifest.name} exports '${subpath}' from ${file}, which the build did not make`)
    const report = subpath === '.' ? pkg.shortName : `${pkg.shortName}.${subpath.slice(2).replaceAll('/', '.')}`
    return [{ pkg, report, declarations: path.join(folder, file) }]
  })
}

/** The declarations of an entry of `exports`: of its default condition, as conditions share one interface. */
function declarationsOf(target: Target): string | undefined {
  if (target === null || typeof target === 'string') return undefined
  if (typeof target['types'] === 'string') return target['types']
  return declarationsOf(target['default'] ?? null)
}

function configure({ pkg, report, declarations }: Entry): ExtractorConfig {
  const { none, error, warning } = { none: ExtractorLogLevel.None, error: ExtractorLogLevel.Error, warning: ExtractorLogLevel.Warning }
  const projectFolder = path.join(view, pkg.shortName)
  const reportFolder = path.join(pkg.folder, 'etc')
  mkdirSync(reportFolder, { recursive: true })
  const configObject: IConfigFile = {
    projectFolder,
    mainEntryPointFilePath: declarations,
    newlineKind: 'lf',
    compiler: {
      overrideTsconfig: {
        compilerOptions: {
          target: 'es2024',
          lib: ['es2024', 'esnext.disposable', 'dom', 'dom.asynciterable'],
          module: 'nodenext',
          moduleResolution: 'nodenext',
          allowImportingTsExtensions: true,
          noEmit: true,
          strict: true,
          skipLibCheck: true,
          types: ['node'],
        },
        files: [declarations],
      },
    },
    apiReport: { enabled: true, reportFileName: `${report}.api.md`, reportFolder, reportTempFolder: path.join(view, 'reports') },
    docModel: { enabled: false },
    dtsRollup: { enabled: false },
    tsdocMetadata: { enabled: false },
    messages: {
      compilerMessageReporting: { default: { logLevel: error } },
      extractorMessageReporting: {
        default: { logLevel: error },
        'ae-undocumented': { logLevel: none },
        // `@internal` members are named as everything else is.
        'ae-internal-missing-underscore': { logLevel: none },
        // Types that only compute other types need no name of their own; `--update` lists them.
        'ae-forgotten-export': { logLevel: warning },
        // Links across packages are not followed.
        'ae-unresolved-link': { logLevel: warning, addToApiReportFile: true },
      },
      tsdocMessageReporting: { default: { logLevel: error } },
    },
  }
  return ExtractorConfig.prepare({
    configObject,
    configObjectFullPath: path.join(projectFolder, 'api-extractor.json'),
    packageJsonFullPath: path.join(projectFolder, 'package.json'),
  })
}

function describe(message: ExtractorMessage): string {
  const place = message.sourceFilePath === undefined ? '' : `${path.relative(view, message.sourceFilePath)}:${message.sourceFileLine ?? 0}: `
  return `  ${place}${message.text} (${message.messageId})`
}

function extract(config: ExtractorConfig, compilerState: CompilerState): readonly string[] {
  const problems: string[] = []
  const result = Extractor.invoke(config, {
    localBuild: update,
    compilerState,
    messageCallback: (message) => {
      message.handled = true
      if (message.messageId === 'ae-forgotten-export' && update) console.log(describe(message).trim())
      if (message.logLevel === ExtractorLogLevel.Error && message.messageId !== 'console-api-report-not-copied') problems.push(describe(message))
    },
  })
  if (result.apiReportChanged && !update) problems.push('  the report is out of date: run `npm run api:update` and review the difference')
  return problems
}

const found = layOut(await publishedPackages())
const configs = found.map((entry) => [entry, configure(entry)] as const)
const [first] = configs
if (first === undefined) throw new Error('there is no published package')
const compilerState = CompilerState.create(first[1], { additionalEntryPoints: configs.map(([entry]) => entry.declarations) })

for (const [{ report, pkg }, config] of configs) {
  const problems = extract(config, compilerState)
  if (problems.length === 0) continue
  console.error(`${path.relative(root, pkg.folder)}/etc/${report}.api.md\n${problems.join('\n')}`)
  process.exitCode = 1
}
console.log(`${configs.length} API reports ${update ? 'written' : 'checked'}`)
