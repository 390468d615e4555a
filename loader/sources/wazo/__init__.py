"""Definitions in a Wazo Platform, read from wazo-confd over REST and watched over Wazo's message bus."""
