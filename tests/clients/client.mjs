// A chat loop around the official OpenAI client for Node, which knows nothing of looprig:
// three user turns, tools that answer with what they were asked, the whole history sent each time.
import OpenAI from "openai";

const client = new OpenAI();
const tools = ["search", "read_file", "list_files", "fetch_url"].map((name) => ({
  type: "function",
  function: { name, parameters: { type: "object", properties: { ref: { type: "string" } } } },
}));
const messages = [{ role: "system", content: "Be helpful." }];
const keep = Number(process.env.KEEP ?? Infinity);

for (const text of ["Good morning.", "What is new?", "Thank you."]) {
  messages.push({ role: "user", content: text });
  for (;;) {
    const sent = [messages[0], ...messages.slice(1).slice(-keep)];
    const stream = client.chat.completions.stream({ model: "gpt-4o", messages: sent, tools });
    const { message } = (await stream.finalChatCompletion()).choices[0];
    messages.push(message);
    if (!message.tool_calls?.length) break;
    for (const call of message.tool_calls) {
      messages.push({ role: "tool", tool_call_id: call.id, content: `result of ${call.function.arguments}` });
    }
  }
  console.log(messages.at(-1).content);
}
