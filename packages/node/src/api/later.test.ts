import { RestanteError } from "restante";
import { expect, test } from "vitest";
import { type Answers, answersLater } from "./later.ts";

const request = (): Request => new Request("http://localhost/v1/health");
const here: Answers = { fetch: () => new Response("here") };

test("nothing is loaded before the first request, and once for all of them", async () => {
  let loads = 0;
  const load = async (): Promise<Answers> => {
    loads++;
    return here;
  };
  const app = answersLater(load, () => {});
  expect(loads).toBe(0);
  const answers = await Promise.all([app.fetch(request()), app.fetch(request())]);
  expect(await Promise.all(answers.map((answer) => answer.text()))).toEqual(["here", "here"]);
  expect(loads).toBe(1);
});

test.each([
  [503, "replaced", new RestanteError("replaced", "restart it"), "restart it"],
  [500, "internal", new Error("no such file /home/x"), "the daemon cannot load its API"],
] as const)(
  "what cannot be loaded is a problem, %i %s, told to the operator once, and tried again",
  async (status, code, error, detail) => {
    const told: string[] = [];
    let isThere = false;
    const load = async (): Promise<Answers> => {
      if (!isThere) throw error;
      return here;
    };
    const app = answersLater(load, (message) => void told.push(message));
    for (let i = 0; i < 2; i++) {
      const refused = await app.fetch(request());
      expect(refused.status).toBe(status);
      expect(refused.headers.get("content-type")).toBe("application/problem+json");
      expect(await refused.json()).toMatchObject({ status, code, detail: expect.stringContaining(detail) });
    }
    expect(told).toEqual([expect.stringContaining(error.message)]);
    isThere = true;
    expect(await (await app.fetch(request())).text()).toBe("here");
  },
);
