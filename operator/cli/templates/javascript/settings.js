// What a user may write into spec.settings: JSON Schema 2020-12. The operator refuses what does not fit and fills in
// the defaults before the plugin is asked.
export const schema = {
  $schema: 'https://json-schema.org/draft/2020-12/schema',
  title: 'Settings of the __name__ plugin',
  type: 'object',
  additionalProperties: false,
  properties: {
    tables: {
      description: 'Tables to back up. Empty: all of them.',
      type: 'array',
      items: { type: 'string', minLength: 1, maxLength: 128 },
      maxItems: 256,
      uniqueItems: true,
      default: [],
      examples: [['orders', 'customers']],
    },
    jobs: {
      description: 'How many tables are dumped at the same time.',
      type: 'integer',
      minimum: 1,
      maximum: 16,
      default: 1,
      examples: [4],
    },
  },
};
