import { readFileSync } from 'node:fs'
import path from 'node:path'
import { parseSync, Visitor } from 'oxc-parser'

/** One module specifier in a source file. @internal */
export interface Import {
  readonly specifier: string
  readonly line: number
}

/** A word that the program itself uses: an identifier or a string. @internal */
export interface Word {
  readonly text: string
  readonly kind: 'identifier' | 'string'
  readonly line: number
}

/** A parsed source file: what it imports, its words and its comments. @internal */
export interface SourceFile {
  readonly imports: readonly Import[]
  readonly words: readonly Word[]
  readonly comments: readonly { readonly text: string; readonly line: number }[]
  readonly lines: number
}

/**
 * Parses one TypeScript file. Imports are the specifiers of `import`, `export … from`, `import()`, `import('…').T`,
 * `require()` and `vi.mock()`; a specifier that is not a plain string is reported as `<computed>`.
 *
 * @internal
 */
export function readSource(root: string, file: string): SourceFile {
  const text = readFileSync(path.join(root, file), 'utf8')
  const lineOf = lineFinder(text)
  const { program, comments, errors } = parseSync(file, text)
  if (errors[0] !== undefined) throw new Error(`${file}: ${errors[0].message}`)
  const imports: Import[] = []
  const words: Word[] = []
  const add = (source: { type: string; start: number; value?: unknown } | null | undefined): void => {
    if (source === null || source === undefined) return
    const specifier = source.type === 'Literal' && typeof source.value === 'string' ? source.value : '<computed>'
    imports.push({ specifier, line: lineOf(source.start) })
  }
  const word = (kind: Word['kind'], node: { start: number }, value: string): void => {
    words.push({ text: value, kind, line: lineOf(node.start) })
  }
  new Visitor({
    ImportDeclaration: (node) => add(node.source),
    ExportAllDeclaration: (node) => add(node.source),
    ExportNamedDeclaration: (node) => add(node.source),
    ImportExpression: (node) => add(node.source),
    TSImportType: (node) => add(node.source),
    TSExternalModuleReference: (node) => add(node.expression),
    CallExpression: (node) => {
      if (loads(node.callee)) add(node.arguments[0])
    },
    Identifier: (node) => word('identifier', node, node.name),
    PrivateIdentifier: (node) => word('identifier', node, node.name),
    Literal: (node) => {
      if (typeof node.value === 'string') word('string', node, node.value)
    },
    TemplateElement: (node) => word('string', node, node.value.raw),
  }).visit(program)
  return {
    imports,
    words,
    comments: comments.map((comment) => ({ text: comment.value, line: lineOf(comment.start) })),
    lines: text.split('\n').length - (text.endsWith('\n') ? 1 : 0),
  }
}

interface Callee {
  readonly type: string
  readonly name?: unknown
  readonly object?: unknown
  readonly property?: unknown
}

function loads(callee: Callee): boolean {
  if (callee.type === 'Identifier') return callee.name === 'require'
  if (callee.type !== 'MemberExpression') return false
  const { object, property } = callee as { object: Callee; property: Callee }
  return object.name === 'vi' && (property.name === 'mock' || property.name === 'doMock' || property.name === 'importActual')
}

function lineFinder(text: string): (offset: number) => number {
  const starts = [0]
  for (let at = text.indexOf('\n'); at !== -1; at = text.indexOf('\n', at + 1)) starts.push(at + 1)
  return (offset) => {
    let low = 0
    let high = starts.length - 1
    while (low < high) {
      const middle = Math.ceil((low + high) / 2)
      if ((starts[middle] ?? 0) <= offset) low = middle
      else high = middle - 1
    }
    return low + 1
  }
}
