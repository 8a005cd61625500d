/** The description that `suit create --example` prints: two images, one of them encrypted. */
import type { Json } from '../suit/inspect.ts';

export const EXAMPLE: Json = {
  sequence: 7,
  version: [1, 4, 0],
  referenceUri: 'https://example.org/lamp/7',
  components: [['text:application'], ['text:radio']],
  shared: [
    { directive: 'set-component-index', index: true },
    {
      directive: 'override-parameters',
      parameters: {
        vendorId: 'fa6b4a53-d5ad-5fdf-be9d-e663e4d41ffe',
        classId: '1492af14-2569-5e48-bf42-9b2d51f2ab45',
      },
    },
    { condition: 'vendor-identifier' },
    { condition: 'class-identifier' },
    { directive: 'set-component-index', index: 0 },
    { directive: 'override-parameters', parameters: { image: 'application.bin' } },
    { directive: 'set-component-index', index: 1 },
    { directive: 'override-parameters', parameters: { image: 'radio.bin' } },
  ],
  sections: {
    install: [
      { directive: 'set-component-index', index: 0 },
      {
        directive: 'override-parameters',
        parameters: { uri: 'https://example.org/lamp/application.bin' },
      },
      { directive: 'fetch' },
      { condition: 'image-match' },
      { directive: 'set-component-index', index: 1 },
      {
        directive: 'override-parameters',
        parameters: {
          uri: 'https://example.org/lamp/radio.enc',
          encryptionInfo: 'file:radio.info',
        },
      },
      { directive: 'fetch' },
      { condition: 'image-match' },
    ],
    validate: [{ directive: 'set-component-index', index: true }, { condition: 'image-match' }],
    invoke: [{ directive: 'set-component-index', index: 0 }, { directive: 'invoke' }],
  },
  text: {
    en: {
      updateDescription: 'The clock no longer stops at midnight.',
      components: [{ component: ['text:application'], version: '1.4.0' }],
    },
    de: { updateDescription: 'Die Uhr bleibt um Mitternacht nicht mehr stehen.' },
  },
  severed: ['install', 'text'],
};
