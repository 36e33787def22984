"""What the adapters that speak HTTP have in common. It knows none of them.

`answers` reads what any service may say of itself, `turns` asks for many records, a few at a time.
"""
