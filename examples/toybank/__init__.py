"""ToyBank: accounts, authorizations and captures, on PostgreSQL, and bugs to switch on."""

from examples.toybank.adapter import BankApi
from examples.toybank.chaos import ChaosBank, ChaosBankApi
from examples.toybank.model import Bank

__all__ = ["Bank", "BankApi", "ChaosBank", "ChaosBankApi"]
