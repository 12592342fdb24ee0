"""The travel agency: flights, hotels and bookings, payments that are answered later, and bugs to switch on."""

from examples.travelbooking.adapter import TravelApi
from examples.travelbooking.chaos import ChaosTravel, ChaosTravelApi
from examples.travelbooking.model import BookingLifecycle, Travel

__all__ = ["BookingLifecycle", "ChaosTravel", "ChaosTravelApi", "Travel", "TravelApi"]
