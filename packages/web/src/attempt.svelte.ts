/** Something that the user asked for, and what became of it. */
export class Attempt {
  /** What came of it, for the user. */
  said = $state("");
  /** Why it did not work. */
  trouble = $state("");

  /** Do it. A text that it resolves to is said. Whether it worked; it never throws. */
  async make(act: () => Promise<unknown>): Promise<boolean> {
    [this.said, this.trouble] = ["", ""];
    try {
      const said = await act();
      if (typeof said === "string") this.said = said;
      return true;
    } catch (error) {
      this.trouble = error instanceof Error ? error.message : "It did not work.";
      return false;
    }
  }
}
