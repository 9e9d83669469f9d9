/** A value that a test knows to be there. Throws when it is not, so that the test stops where the value is missing. */
export function given<T>(value: T | undefined): T {
  if (value === undefined) throw new Error("expected a value");
  return value;
}
