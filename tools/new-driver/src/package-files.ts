import path from 'node:path'
import type { Names } from './names.ts'

const DEV = ['@blockloom/block-driver', '@blockloom/driver-testkit'] as const

/** The files that every driver package has, by path in the package. @internal */
export function packageFiles(names: Names, summary: string): Readonly<Record<string, string>> {
  return {
    'package.json': json(manifest(names, summary)),
    'tsconfig.json': json({ extends: `${path.posix.relative(names.folder, 'tools/rig')}/tsconfig.package.json`, references: [{ path: path.posix.relative(names.folder, 'packages/block-driver') }] }),
    'vitest.config.ts': "export { default } from '@blockloom/rig/vitest'\n",
    'README.md': readme(names, summary),
  }
}

/** The changeset of a first release: 1.0.0, see docs/decisions/0001-versions.md. @internal */
export function changeset({ packageName, kind, driver }: Names): string {
  return `---\n'${packageName}': major\n---\n\nThe ${kind} driver \`${driver}\`.\n`
}

function manifest(names: Names, summary: string): object {
  const closed = { './internal/*': null, './package.json': './package.json' }
  return {
    name: names.packageName,
    version: '0.0.0',
    description: `The ${names.kind} driver ${names.driver}: ${summary}.`,
    license: 'MIT',
    type: 'module',
    sideEffects: false,
    engines: { node: '>=22.15' },
    files: ['dist', '!dist/.tsbuildinfo', 'src', 'README.md', 'CHANGELOG.md'],
    exports: { '.': './src/index.ts', ...closed },
    publishConfig: { access: 'public', exports: { '.': { types: './dist/index.d.ts', default: './dist/index.js' }, ...closed } },
    scripts: { build: 'tsc -b', test: 'vitest run --passWithNoTests' },
    peerDependencies: { '@blockloom/block-driver': 'workspace:^' },
    devDependencies: {
      ...Object.fromEntries(DEV.map((name) => [name, 'workspace:^'])),
      '@blockloom/rig': 'workspace:*',
      '@types/node': 'catalog:',
      typescript: 'catalog:',
      vitest: 'catalog:',
    },
  }
}

function readme({ packageName, kind, driver, camel }: Names, summary: string): string {
  return [
    `# ${packageName}`,
    `The ${kind} driver \`${driver}\` of blockloom: ${summary}.`,
    ['```ts', "import { createGraph } from '@blockloom/block-core'", `import { ${camel} } from '${packageName}'`, '', `await using graph = createGraph({ drivers: [${camel}] })`, '```'].join('\n'),
    '',
  ].join('\n\n').replace(/\n+$/, '\n')
}

function json(value: object): string {
  return `${JSON.stringify(value, null, 2)}\n`
}
