import { expect, test } from "vitest";
import { Refusal } from "./api.ts";
import { useLink } from "./pasted.ts";

const INVITE =
  "link://203.0.113.7:1/?cs3a=wqj7i7it5yx6nscfwlxbigxydxufrx2oyve2lc3zoc5zmzc3zdja&paths=pmrhi6lqmurduitvmrydiirmejux&invite=aebvqpd57n5t";

test("what of it is the link its checksum tells; other refusals end the search", async () => {
  const tried: string[] = [];
  const use = async (link: string): Promise<string> => {
    tried.push(link);
    if (link !== INVITE) throw new Refusal(400, "bad-invite", `damaged ${tried.length}`);
    return "added";
  };
  expect(await useLink(`${INVITE.slice(0, 80)}\n${INVITE.slice(80)}\nanna`, use)).toBe("added");
  expect(tried).toEqual([`${INVITE}anna`, INVITE]);
  await expect(useLink("link://a", use)).rejects.toThrow("damaged 3");
  await expect(useLink("https://example.org/hi", use)).rejects.toThrow("This is a web address");
  const known = async (): Promise<never> => {
    throw new Refusal(409, "known", "there already");
  };
  await expect(useLink(`${INVITE}\nanna`, known)).rejects.toThrow("there already");
});
