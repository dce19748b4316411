// What Microsoft's language service, which editors use, says of pipelines. Reads {"schema": …, "texts": {name: yaml}}
// on stdin and writes {name: [[line, message], …]}. It is given the schema, and nothing can be fetched here.
"use strict";
const { readFileSync } = require("fs");
require("net").Socket.prototype.connect = () => {
  throw new Error("the language service asked the network");
};
console.log = () => {}; // the service tells there which schema it takes

const { getLanguageService, parse, TextDocument } = require("azure-pipelines-language-service");

const SCHEMA = "memory:///schema.json";
const asked = JSON.parse(readFileSync(0, "utf8"));
const service = getLanguageService(
  () => Promise.resolve(asked.schema),
  [],
  () => Promise.resolve(SCHEMA),
);
service.configure({ validate: true });

async function said(name, text) {
  const document = TextDocument.create(`memory:///${name}`, "azure-pipelines", 1, text);
  const found = await service.doValidation(document, parse(text));
  return found.map((each) => [each.range.start.line + 1, each.message]);
}

async function main() {
  const answers = {};
  for (const [name, text] of Object.entries(asked.texts)) answers[name] = await said(name, text);
  process.stdout.write(JSON.stringify(answers));
}

main();
