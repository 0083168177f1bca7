export { startDeliveries, type DeliveriesOptions, type MakeImages } from './start-deliveries.ts'
export type { DeliveryTerms } from './delivery-terms.ts'
