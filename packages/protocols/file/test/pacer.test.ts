import { expect, test } from 'vitest'
import { Pacer } from '../src/io/pacer.ts'

function pacer() {
  let time = 0
  const pace = new Pacer({ slow: 1, slowPerMiB: 2, tolerance: 20 }, { now: () => time, sleep: async () => undefined })
  return {
    call: (takes: number, bytes = 0) => pace.attempt(() => ((time += takes), 1), bytes) === 1,
    wait: (ms: number) => void (time += ms),
  }
}

test('quick calls are made, however many', () => {
  const { call } = pacer()
  for (let i = 0; i < 10000; i++) expect(call(0.5)).toBe(true)
})

test('a call that blocks long sends the next ones elsewhere for a while, one after another', () => {
  const { call, wait } = pacer()
  expect(call(50)).toBe(true)
  expect(call(0)).toBe(false)
  wait(199)
  expect(call(0)).toBe(false)
  wait(2)
  expect(call(10)).toBe(true)
  expect(call(0)).toBe(false)
})

test('calls that are now and then slow, as when the thread was preempted, are forgiven', () => {
  const { call } = pacer()
  for (let i = 0; i < 5000; i++) expect(call(i % 500 === 0 ? 5 : 0.01)).toBe(true)
})

test('many slow ones are not', () => {
  const { call } = pacer()
  expect(Array.from({ length: 30 }, () => call(3))).toContain(false)
})

test('long ones may take longer, as they do while others have the processors', () => {
  const { call } = pacer()
  for (let i = 0; i < 1000; i++) expect(call(4.9, 2 * 1024 * 1024)).toBe(true)
  expect(Array.from({ length: 30 }, () => call(5.1, 2 * 1024 * 1024))).toContain(false)
})

test('a pause ends', () => {
  const { call, wait } = pacer()
  call(1e6)
  wait(1001)
  expect(call(0)).toBe(true)
})
