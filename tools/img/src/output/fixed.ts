/** printf's `%.2f`: a tie goes to the even digit, where `toFixed` goes up. @internal */
export function fixed2(value: number): string {
  const hundredths = value * 100
  const below = Math.floor(hundredths)
  if (hundredths - below !== 0.5) return value.toFixed(2)
  return ((below % 2 === 0 ? below : below + 1) / 100).toFixed(2)
}
