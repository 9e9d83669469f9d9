import { Refusal } from "./api.ts";
import { mailbox } from "./mailbox.svelte.ts";

/** Something that the user asked for, and what became of it. */
export class Attempt {
  /** What came of it, for the user. */
  said = $state("");
  /** Why it did not work. */
  trouble = $state("");
  /** As much of it as is not of the user's asking. */
  #unasked = "";

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

  /**
   * What the page asks by itself: in an effect, then again whenever something happens at the daemon. That the daemon is away stands
   * above every page already, and is not told here.
   */
  async load(act: () => Promise<unknown>): Promise<void> {
    mailbox.revision;
    const before = this.#unasked;
    this.#unasked = "";
    await act().catch((error: Error) => {
      if (!(error instanceof Refusal && error.status === 0)) this.#unasked = error.message;
    });
    if (this.trouble === before) this.trouble = this.#unasked;
  }
}
