"""From the figures of a run to what people read: report, model card, pictures."""
